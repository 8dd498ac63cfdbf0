#include "cc/policy/saved_model_check.h"

#include <set>
#include <utility>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/policy/allowed_ops.h"

namespace grappler_go {
namespace {

Status Malformed() { return InvalidArgument("saved_model.pb is malformed"); }

struct Node {
  std::string_view name, op;
  std::vector<std::string_view> inputs;     // as written: "x:1", "^x"
  std::vector<std::string_view> functions;  // named in its attributes
};

// A MetaGraphDef, as far as it matters here. Views into its bytes.
struct MetaGraph {
  std::map<std::string_view, Node> nodes;
  std::map<std::string_view, std::vector<Node>> functions;
  std::set<std::string_view> tags;
  std::map<std::string_view, std::string_view> signatures;  // SignatureDefs
  std::vector<std::string_view> restore_ops;
  std::map<std::string_view, std::string_view> collections;  // CollectionDefs
  bool has_assets = false;
};

// Calls use(field) for each length-delimited field of a message.
template <typename Use>
Status ForEachBytes(std::string_view message, Use use) {
  WireReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.type == WireType::kBytes) GO_RETURN_IF_ERROR(use(field));
  }
  return reader.ok() ? OkStatus() : Malformed();
}

// The last occurrence of a singular bytes field wins, as in protobuf.
Status ReadBytes(std::string_view message, uint32_t number,
                 std::string_view* value) {
  return ForEachBytes(message, [&](const WireField& f) {
    if (f.number == number) *value = f.bytes;
    return OkStatus();
  });
}

// AttrValue: func = 10, list = 1 with func = 9; NameAttrList: name = 1.
Status ReadFunctions(std::string_view attr_value, Node* node) {
  return ForEachBytes(attr_value, [&](const WireField& f) -> Status {
    if (f.number == 10) {
      std::string_view name;
      GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 1, &name));
      node->functions.push_back(name);
    } else if (f.number == 1) {
      return ForEachBytes(f.bytes, [&](const WireField& item) -> Status {
        if (item.number != 9) return OkStatus();
        std::string_view name;
        GO_RETURN_IF_ERROR(ReadBytes(item.bytes, 1, &name));
        node->functions.push_back(name);
        return OkStatus();
      });
    }
    return OkStatus();
  });
}

// NodeDef: name = 1, op = 2, input = 3, attr = 5 (key = 1, value = 2).
Status ReadNode(std::string_view bytes, Node* node) {
  return ForEachBytes(bytes, [&](const WireField& f) -> Status {
    if (f.number == 1) node->name = f.bytes;
    if (f.number == 2) node->op = f.bytes;
    if (f.number == 3) node->inputs.push_back(f.bytes);
    if (f.number != 5) return OkStatus();
    std::string_view value;
    GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 2, &value));
    return ReadFunctions(value, node);
  });
}

// FunctionDef: signature = 1 (OpDef, name = 1), node_def = 3.
Status ReadFunction(std::string_view bytes, MetaGraph* graph) {
  std::string_view name;
  std::vector<Node> nodes;
  GO_RETURN_IF_ERROR(ForEachBytes(bytes, [&](const WireField& f) -> Status {
    if (f.number == 1) return ReadBytes(f.bytes, 1, &name);
    if (f.number == 3) return ReadNode(f.bytes, &nodes.emplace_back());
    return OkStatus();
  }));
  std::vector<Node>& all = graph->functions[name];
  all.insert(all.end(), nodes.begin(), nodes.end());
  return OkStatus();
}

// GraphDef: node = 1, library = 2 (FunctionDefLibrary: function = 1).
Status ReadGraph(std::string_view bytes, MetaGraph* graph) {
  return ForEachBytes(bytes, [&](const WireField& f) -> Status {
    if (f.number == 1) {
      Node node;
      GO_RETURN_IF_ERROR(ReadNode(f.bytes, &node));
      if (!graph->nodes.emplace(node.name, node).second) {
        return InvalidArgument("saved_model.pb has two nodes named " +
                               std::string(node.name));
      }
    } else if (f.number == 2) {
      return ForEachBytes(f.bytes, [&](const WireField& function) {
        return function.number == 1 ? ReadFunction(function.bytes, graph)
                                    : OkStatus();
      });
    }
    return OkStatus();
  });
}

// MetaGraphDef: meta_info_def = 1 (tags = 4), graph_def = 2, saver_def = 3
// (restore_op_name = 3), collection_def = 4 and signature_def = 5 (maps),
// asset_file_def = 6.
Status ReadMetaGraph(std::string_view bytes, MetaGraph* graph) {
  return ForEachBytes(bytes, [&](const WireField& f) -> Status {
    std::string_view key, value;
    switch (f.number) {
      case 1:
        return ForEachBytes(f.bytes, [&](const WireField& info) {
          if (info.number == 4) graph->tags.insert(info.bytes);
          return OkStatus();
        });
      case 2:
        return ReadGraph(f.bytes, graph);
      case 3:
        GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 3, &value));
        graph->restore_ops.push_back(value);
        return OkStatus();
      case 4:
        GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 1, &key));
        GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 2, &value));
        graph->collections[key] = value;
        return OkStatus();
      case 5:
        GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 1, &key));
        GO_RETURN_IF_ERROR(ReadBytes(f.bytes, 2, &value));
        graph->signatures[key] = value;
        return OkStatus();
      case 6:
        graph->has_assets = true;
        return OkStatus();
      default:
        return OkStatus();
    }
  });
}

// map<string, TensorInfo>; TensorInfo: name = 1, dtype = 2.
Status ReadTensorInfo(std::string_view entry,
                      std::map<std::string, SignatureTensor>* tensors) {
  std::string_view key, info;
  GO_RETURN_IF_ERROR(ReadBytes(entry, 1, &key));
  GO_RETURN_IF_ERROR(ReadBytes(entry, 2, &info));
  SignatureTensor tensor;
  WireReader reader(info);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == 1 && field.type == WireType::kBytes) {
      tensor.tensor = std::string(field.bytes);
    } else if (field.number == 2 && field.type == WireType::kVarint) {
      tensor.dtype = static_cast<int>(field.varint);
    }
  }
  if (!reader.ok()) return Malformed();
  (*tensors)[std::string(key)] = tensor;
  return OkStatus();
}

// SignatureDef: inputs = 1, outputs = 2.
Status ReadSignature(std::string_view bytes, SavedModelSignature* signature) {
  return ForEachBytes(bytes, [&](const WireField& f) -> Status {
    if (f.number == 1) return ReadTensorInfo(f.bytes, &signature->inputs);
    if (f.number == 2) return ReadTensorInfo(f.bytes, &signature->outputs);
    return OkStatus();
  });
}

// "^x" and "x:1" -> "x".
std::string_view NodeOfInput(std::string_view input) {
  if (!input.empty() && input[0] == '^') input.remove_prefix(1);
  return input.substr(0, input.find(':'));
}

// Everything that runs when a node runs: its inputs, and whole functions.
class Reach {
 public:
  explicit Reach(const MetaGraph& graph) : graph_(graph) {}

  void AddNode(std::string_view name) {
    std::vector<std::string_view> pending = {name};
    while (!pending.empty()) {
      const auto found = graph_.nodes.find(pending.back());
      pending.pop_back();
      if (found == graph_.nodes.end() || !nodes_.insert(found->first).second) {
        continue;
      }
      Use(found->second);
      for (std::string_view input : found->second.inputs) {
        pending.push_back(NodeOfInput(input));
      }
    }
    Functions();
  }

  // The first op reached with this licence, with where it stands; or nothing.
  std::string Find(OpLicence licence) const {
    for (const auto& [op, where] : ops_) {
      if (LicenceOf(op) == licence) {
        return std::string(op) + " (node " + std::string(where) + ")";
      }
    }
    return "";
  }

 private:
  void Use(const Node& node) {
    ops_.emplace(node.op, node.name);
    // A node's type may itself be the name of a function.
    pending_functions_.push_back(node.op);
    for (std::string_view name : node.functions) {
      pending_functions_.push_back(name);
    }
  }

  void Functions() {
    while (!pending_functions_.empty()) {
      const auto found = graph_.functions.find(pending_functions_.back());
      pending_functions_.pop_back();
      if (found == graph_.functions.end() ||
          !functions_.insert(found->first).second) {
        continue;
      }
      for (const Node& node : found->second) Use(node);
    }
  }

  const MetaGraph& graph_;
  std::set<std::string_view> nodes_, functions_;
  std::vector<std::string_view> pending_functions_;
  std::map<std::string_view, std::string_view> ops_;
};

Status Refuse(const std::string& op, const char* why) {
  return FailedPrecondition("a policy may not contain the op " + op + why);
}

Status CheckOps(const MetaGraph& graph) {
  const auto check = [&](const Node& node) -> Status {
    if (graph.functions.count(node.op) > 0 ||
        LicenceOf(node.op) != OpLicence::kRefused) {
      return OkStatus();
    }
    return Refuse(
        std::string(node.op) + " (node " + std::string(node.name) + ")", "");
  };
  for (const auto& [name, node] : graph.nodes) GO_RETURN_IF_ERROR(check(node));
  for (const auto& [name, nodes] : graph.functions) {
    // A function of an op's name would hide behind the op.
    if (LicenceOf(name) != OpLicence::kRefused) {
      return FailedPrecondition("a policy may not redefine the op " +
                                std::string(name));
    }
    for (const Node& node : nodes) GO_RETURN_IF_ERROR(check(node));
  }
  return OkStatus();
}

Status CheckReach(const MetaGraph& graph,
                  const SavedModelSignature& signature) {
  Reach computed(graph);
  for (const auto& [key, tensor] : signature.outputs) {
    computed.AddNode(NodeOfInput(tensor.tensor));
  }
  Reach loaded(graph);
  for (std::string_view op : graph.restore_ops) loaded.AddNode(NodeOfInput(op));
  const auto init = graph.signatures.find("__saved_model_init_op");
  if (init != graph.signatures.end()) {
    SavedModelSignature ops;
    GO_RETURN_IF_ERROR(ReadSignature(init->second, &ops));
    for (const auto& [key, op] : ops.outputs) {
      loaded.AddNode(NodeOfInput(op.tensor));
    }
  }
  // Older places for the same: CollectionDef.node_list = 1, its value = 1.
  for (const char* name : {"saved_model_main_op", "legacy_init_op"}) {
    const auto ops = graph.collections.find(name);
    if (ops == graph.collections.end()) continue;
    std::string_view list;
    GO_RETURN_IF_ERROR(ReadBytes(ops->second, 1, &list));
    GO_RETURN_IF_ERROR(ForEachBytes(list, [&](const WireField& f) {
      if (f.number == 1) loaded.AddNode(NodeOfInput(f.bytes));
      return OkStatus();
    }));
  }
  const std::string reads = computed.Find(OpLicence::kReadsFiles);
  if (!reads.empty()) return Refuse(reads, " in what it computes");
  for (const Reach* reach : {&computed, &loaded}) {
    const std::string writes = reach->Find(OpLicence::kWritesFiles);
    if (!writes.empty()) return Refuse(writes, " in what it runs");
  }
  return OkStatus();
}

}  // namespace

StatusOr<SavedModelSignature> CheckSavedModel(std::string_view saved_model) {
  MetaGraph graph;
  int num_meta_graphs = 0;
  GO_RETURN_IF_ERROR(
      ForEachBytes(saved_model, [&](const WireField& f) -> Status {
        if (f.number != 2) return OkStatus();  // SavedModel.meta_graphs
        ++num_meta_graphs;
        return ReadMetaGraph(f.bytes, &graph);
      }));
  if (num_meta_graphs != 1 || graph.tags.count("serve") == 0) {
    return InvalidArgument(
        "saved_model.pb should have one MetaGraph, tagged 'serve'; it has " +
        std::to_string(num_meta_graphs));
  }
  if (graph.has_assets) {
    return FailedPrecondition("a policy may not have asset files");
  }
  const auto serving = graph.signatures.find("serving_default");
  if (serving == graph.signatures.end()) {
    return InvalidArgument("saved_model.pb has no signature 'serving_default'");
  }
  SavedModelSignature signature;
  GO_RETURN_IF_ERROR(ReadSignature(serving->second, &signature));
  GO_RETURN_IF_ERROR(CheckOps(graph));
  GO_RETURN_IF_ERROR(CheckReach(graph, signature));
  return signature;
}

}  // namespace grappler_go
