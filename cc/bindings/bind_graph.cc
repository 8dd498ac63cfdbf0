// OpGraph in Python.
#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include "cc/bindings/arrays.h"
#include "cc/bindings/bindings.h"
#include "cc/bindings/status_casters.h"
#include "cc/cost/cost_kind.h"
#include "cc/cost/op_cost.h"
#include "cc/sim/op_memory.h"

namespace py = pybind11;

namespace grappler_go {

py::str Text(std::string_view text) {
  return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(
      text.data(), static_cast<py::ssize_t>(text.size()), "surrogateescape"));
}

py::bytes Bytes(std::string_view bytes) {
  return py::bytes(bytes.data(), bytes.size());
}

namespace {

struct GraphWithBytes {
  std::string bytes;
  std::optional<OpGraph> graph;  // views `bytes`, so it is made in its place
};

// "^name:0" -> "name", as TensorFlow writes fetches and inputs.
std::string_view NodeName(std::string_view tensor) {
  if (!tensor.empty() && tensor.front() == '^') tensor.remove_prefix(1);
  return tensor.substr(0, tensor.rfind(':'));
}

StatusOr<PyOpGraph> Parse(std::string_view graphdef,
                          const std::vector<std::string>& fetches,
                          const std::vector<std::string>& preserve) {
  auto owner = std::make_shared<GraphWithBytes>();
  owner->bytes = graphdef;
  ParseOptions options;
  for (const std::string& name : fetches) {
    options.fetches.push_back(NodeName(name));
  }
  for (const std::string& name : preserve) {
    options.preserve.push_back(NodeName(name));
  }
  StatusOr<OpGraph> graph = OpGraph::Parse(owner->bytes, options);
  if (!graph.ok()) return graph.status();
  owner->graph.emplace(std::move(*graph));
  const OpGraph* view = &*owner->graph;
  return PyOpGraph{std::shared_ptr<const OpGraph>(std::move(owner), view)};
}

void CheckOp(const OpGraph& graph, int32_t op) {
  if (op < 0 || op >= graph.num_ops()) {
    throw py::index_error("op " + std::to_string(op) + " of " +
                          std::to_string(graph.num_ops()));
  }
}

void CheckOutput(const OpGraph& graph, int32_t op, int32_t port) {
  CheckOp(graph, op);
  if (port < 0 || port >= graph.num_outputs(op)) {
    throw py::index_error("output " + std::to_string(port) + " of " +
                          std::string(graph.name(op)) + ", which has " +
                          std::to_string(graph.num_outputs(op)));
  }
}

// One value of each op, as a list of str or an array of its own.
template <typename Function>
py::list TextOfOps(const PyOpGraph& self, Function function) {
  const OpGraph& graph = *self.graph;
  py::list texts(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    texts[i] = Text(function(graph, i));
  }
  return texts;
}
template <typename T, typename Function>
py::array ArrayOfOps(const PyOpGraph& self, Function function) {
  const OpGraph& graph = *self.graph;
  std::vector<T> values(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) values[i] = function(graph, i);
  return Owned(std::move(values));
}

Span<InputEdge> InputsOf(const OpGraph& graph, int32_t i) {
  return graph.inputs(i);
}
Span<OutputEdge> OutputsOf(const OpGraph& graph, int32_t i) {
  return graph.outputs(i);
}

// Offsets of each op's edges: row i of a compressed matrix is [i], [i + 1].
template <typename Edges>
py::array Offsets(const OpGraph& graph, Edges edges) {
  std::vector<int32_t> offsets(graph.num_ops() + 1, 0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    offsets[i + 1] = offsets[i] + static_cast<int32_t>(edges(graph, i).size());
  }
  return Owned(std::move(offsets));
}

// The other end of all edges, a view with the size of an edge as stride.
template <typename Edge>
py::array EdgeEnds(const PyOpGraph& self,
                   Span<Edge> (*edges)(const OpGraph&, int32_t),
                   int32_t Edge::*end) {
  if (self.graph->num_edges() == 0) return Owned(std::vector<int32_t>());
  const Edge* first = edges(*self.graph, 0).begin();
  return View(&(first->*end),
              {static_cast<py::ssize_t>(self.graph->num_edges())},
              {static_cast<py::ssize_t>(sizeof(Edge))}, self.graph);
}

// The ports of all edges: copied, since they are a part of a word.
template <typename Edge>
py::array EdgePorts(const PyOpGraph& self,
                    Span<Edge> (*edges)(const OpGraph&, int32_t)) {
  std::vector<int32_t> ports;
  ports.reserve(static_cast<size_t>(self.graph->num_edges()));
  for (int32_t i = 0; i < self.graph->num_ops(); ++i) {
    for (const Edge& edge : edges(*self.graph, i)) ports.push_back(edge.port);
  }
  return Owned(std::move(ports));
}

py::object Shape(const PyOpGraph& self, int32_t op, int32_t port) {
  CheckOutput(*self.graph, op, port);
  const TensorShape& shape = self.graph->shape(op, port);
  if (!shape.known_rank()) return py::none();
  py::list dims(shape.rank());
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape.dim(i) < 0) {
      dims[i] = py::none();
    } else {
      dims[i] = py::int_(shape.dim(i));
    }
  }
  return dims;
}

py::dict FlagNames() {
  py::dict names;
  const std::pair<const char*, OpFlag> flags[] = {
      {"preserved", kPreserved},
      {"stateful", kStateful},
      {"random", kRandom},
      {"reads_variable", kReadsVariable},
      {"writes_variable", kWritesVariable},
      {"control_flow", kControlFlow},
      {"in_loop", kInLoop},
      {"backward", kBackward},
      {"constant", kConstant},
      {"source", kSource},
      {"sink", kSink},
      {"unknown_op", kUnknownOp},
      {"has_subgraph", kHasSubgraph},
      {"marked_by_user", kMarkedByUser},
      {"planned", kPlanned},
      {"ref_typed", kRefTyped},
      {"conditional", kConditional},
  };
  for (const auto& [name, flag] : flags) {
    names[name] = static_cast<uint32_t>(flag);
  }
  return names;
}

}  // namespace

void BindGraph(py::module_& m) {
  py::class_<PyOpGraph> c(
      m, "OpGraph",
      "A GraphDef as everything else reads it: ops numbered in a canonical "
      "topological order, with shapes inferred. Immutable. Arrays are "
      "read-only "
      "and stay valid after the graph is gone.");
  c.def(py::init([](const py::bytes& graphdef,
                    const std::vector<std::string>& fetches,
                    const std::vector<std::string>& preserve) {
          const std::string_view view = graphdef;
          StatusOr<PyOpGraph> graph =
              WithoutGil([&] { return Parse(view, fetches, preserve); });
          return ValueOrThrow(std::move(graph));
        }),
        py::arg("graphdef"), py::arg("fetches") = std::vector<std::string>(),
        py::arg("preserve") = std::vector<std::string>(),
        "ValueError for bytes that are not a valid GraphDef. Fetched and "
        "preserved names may carry output numbers.");
  c.def("__len__", [](const PyOpGraph& g) { return g.graph->num_ops(); });
  c.def("__repr__", [](const PyOpGraph& g) {
    return "<OpGraph of " + std::to_string(g.graph->num_ops()) + " ops, " +
           g.graph->fingerprint().ToString() + ">";
  });
  c.def_property_readonly(
      "num_ops", [](const PyOpGraph& g) { return g.graph->num_ops(); });
  c.def_property_readonly(
      "num_edges", [](const PyOpGraph& g) { return g.graph->num_edges(); },
      "Data and control edges together.");
  c.def_property_readonly(
      "fingerprint",
      [](const PyOpGraph& g) { return g.graph->fingerprint().ToString(); },
      "32 hexadecimal digits, the same for the same structure whatever the "
      "names and the order of nodes.");
  c.def_property_readonly(
      "graphdef", [](const PyOpGraph& g) { return Bytes(g.graph->graphdef()); },
      "The serialized GraphDef, a copy.");

  c.def_property_readonly("names", [](const PyOpGraph& g) {
    return TextOfOps(
        g, [](const OpGraph& graph, int32_t i) { return graph.name(i); });
  });
  c.def_property_readonly("ops", [](const PyOpGraph& g) {
    return TextOfOps(
        g, [](const OpGraph& graph, int32_t i) { return graph.op(i); });
  });
  c.def_property_readonly("op_classes", [](const PyOpGraph& g) {
    return TextOfOps(g, [](const OpGraph& graph, int32_t i) {
      return std::string_view(OpClassName(graph.def(i).op_class));
    });
  });
  c.def_property_readonly("devices", [](const PyOpGraph& g) {
    return TextOfOps(
        g, [](const OpGraph& graph, int32_t i) { return graph.device(i); });
  });

  c.def_property_readonly(
      "flags",
      [](const PyOpGraph& g) {
        return ArrayOfOps<uint32_t>(
            g, [](const OpGraph& graph, int32_t i) { return graph.flags(i); });
      },
      "Bits of flag_names(), of each op.");
  c.def_static("flag_names", &FlagNames, "Name -> bit.");
  c.def_property_readonly("depth", [](const PyOpGraph& g) {
    return ArrayOfOps<int32_t>(
        g, [](const OpGraph& graph, int32_t i) { return graph.depth(i); });
  });
  c.def_property_readonly("file_index", [](const PyOpGraph& g) {
    std::vector<int32_t> places(g.graph->num_ops());
    for (int32_t at = 0; at < g.graph->num_ops(); ++at) {
      places[g.graph->op_at(at)] = at;
    }
    return Owned(std::move(places));
  });
  c.def_property_readonly(
      "colocation_group",
      [](const PyOpGraph& g) {
        return ArrayOfOps<int32_t>(g, [](const OpGraph& graph, int32_t i) {
          return graph.colocation_group(i);
        });
      },
      "Ops with the same number share a device; -1: alone.");
  c.def_property_readonly(
      "variable",
      [](const PyOpGraph& g) {
        return ArrayOfOps<int32_t>(g, [](const OpGraph& graph, int32_t i) {
          return graph.variable(i);
        });
      },
      "The op that makes the variable which an op reads or writes; -1: none.");
  c.def_property_readonly(
      "flops",
      [](const PyOpGraph& g) {
        return ArrayOfOps<double>(g, [](const OpGraph& graph, int32_t i) {
          return CostOf(graph, i).flops;
        });
      },
      "Multiply-adds count as two; 0 where shapes are not known.");
  c.def_property_readonly(
      "cost_keys",
      [](const PyOpGraph& g) {
        std::vector<std::string> keys;
        for (int32_t i = 0; i < g.graph->num_ops(); ++i) {
          keys.push_back(CostKey(*g.graph, i));
        }
        return keys;
      },
      "By which timings of each op are known: its type, and its kind where "
      "that matters, as in Conv2D:pointwise.");
  c.def_property_readonly(
      "bytes_moved",
      [](const PyOpGraph& g) {
        return ArrayOfOps<double>(g, [](const OpGraph& graph, int32_t i) {
          const OpCost cost = CostOf(graph, i);
          return cost.bytes_read + cost.bytes_written;
        });
      },
      "Bytes read and written by each op.");
  c.def_property_readonly(
      "resident_bytes",
      [](const PyOpGraph& g) { return Owned(ResidentBytes(*g.graph)); },
      "Bytes that are there before the step and after it, by the op they "
      "belong to: constants, arguments, variables at their handles.");
  c.def_property_readonly(
      "cost_known",
      [](const PyOpGraph& g) {
        return ArrayOfOps<uint8_t>(g, [](const OpGraph& graph, int32_t i) {
          return static_cast<uint8_t>(CostOf(graph, i).known);
        });
      },
      "1 where flops and bytes_moved are known, 0 where the op has no formula "
      "or a shape is missing.");
  c.def_property_readonly(
      "has_formula",
      [](const PyOpGraph& g) {
        return ArrayOfOps<uint8_t>(g, [](const OpGraph& graph, int32_t i) {
          return static_cast<uint8_t>(HasFormula(graph.def(i)));
        });
      },
      "1 where there is a formula for ops of this type.");

  // Edges as compressed rows: those of op i are [ptr[i], ptr[i + 1]).
  c.def_property_readonly(
      "in_ptr", [](const PyOpGraph& g) { return Offsets(*g.graph, InputsOf); });
  c.def_property_readonly("in_src", [](const PyOpGraph& g) {
    return EdgeEnds(g, InputsOf, &InputEdge::src);
  });
  c.def_property_readonly(
      "in_port", [](const PyOpGraph& g) { return EdgePorts(g, InputsOf); },
      "Which output of the producer; -1 for a control edge.");
  c.def_property_readonly("out_ptr", [](const PyOpGraph& g) {
    return Offsets(*g.graph, OutputsOf);
  });
  c.def_property_readonly("out_dst", [](const PyOpGraph& g) {
    return EdgeEnds(g, OutputsOf, &OutputEdge::dst);
  });
  c.def_property_readonly(
      "out_port", [](const PyOpGraph& g) { return EdgePorts(g, OutputsOf); },
      "Which of our outputs; -1 for a control edge.");

  c.def(
      "num_outputs",
      [](const PyOpGraph& g, int32_t op) {
        CheckOp(*g.graph, op);
        return g.graph->num_outputs(op);
      },
      py::arg("op"));
  c.def("shape", &Shape, py::arg("op"), py::arg("port"),
        "A list with None for unknown dimensions; None for an unknown rank.");
  c.def(
      "dtype",
      [](const PyOpGraph& g, int32_t op, int32_t port) {
        CheckOutput(*g.graph, op, port);
        return g.graph->dtype(op, port);
      },
      py::arg("op"), py::arg("port"), "A tensorflow DataType; 0: not known.");
  c.def(
      "output_bytes",
      [](const PyOpGraph& g, int32_t op, int32_t port) {
        CheckOutput(*g.graph, op, port);
        return g.graph->bytes(op, port);
      },
      py::arg("op"), py::arg("port"), "-1: not known.");
  c.def(
      "find",
      [](const PyOpGraph& g, const std::string& name) {
        return g.graph->find(name);
      },
      py::arg("name"), "The number of the op of that name; -1: none.");
  c.def(
      "attr",
      [](const PyOpGraph& g, int32_t op, const std::string& key) {
        CheckOp(*g.graph, op);
        return Bytes(g.graph->attr(op, key));
      },
      py::arg("op"), py::arg("key"),
      "The serialized AttrValue; empty when there is none.");
}

}  // namespace grappler_go
