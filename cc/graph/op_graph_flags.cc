// Flags, variables and colocation groups, in passes over the canonical order:
// an op comes after its producers, back edges aside.
#include <algorithm>
#include <utility>

#include "cc/graph/frames.h"
#include "cc/graph/gradient_scope.h"
#include "cc/graph/op_graph_builder.h"
#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

constexpr int32_t kResource = 20;   // types.proto
constexpr int32_t kFirstRef = 100;  // reference dtypes: their value's plus 100

// Disjoint sets of ops; the root is the smallest.
class Sets {
 public:
  explicit Sets(int32_t n) : parent_(n) {
    for (int32_t i = 0; i < n; ++i) parent_[i] = i;
  }
  int32_t Root(int32_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(int32_t i, int32_t j) {
    i = Root(i);
    j = Root(j);
    parent_[std::max(i, j)] = std::min(i, j);
  }
  // The root of each.
  std::vector<int32_t> TakeRoots() {
    for (int32_t& parent : parent_) parent = Root(parent);
    return std::move(parent_);
  }

 private:
  std::vector<int32_t> parent_;
};

// Ops that output the handle or reference they are given.
bool PassesHandleOn(std::string_view op) {
  return op == "Identity" || op == "Enter" || op == "Exit" || op == "Switch" ||
         op == "RefIdentity" || op == "RefEnter" || op == "RefExit" ||
         op == "RefSwitch";
}

bool MakesHandle(std::string_view op) {
  return op == "VarHandleOp" || op == "VariableV2";
}

// The op whose gradient an op of that name helps to compute, -1 when the name
// does not tell: model/mul for "gradient_tape/model/mul/Mul" as for
// "gradients/model/mul_grad/Mul". Before the scope there may be that of an
// inlined function, which the forward op has, too, and others that it has not.
int32_t DifferentiatedOp(const OpGraph& graph, std::string_view name) {
  const GradientScope scope = FindGradientScope(name);
  const std::string_view before = name.substr(0, scope.begin);
  const std::string_view after = name.substr(scope.end);
  constexpr std::string_view kGrad = "_grad";
  std::string prefixed;
  for (size_t end = after.rfind('/'); end != std::string_view::npos && end > 0;
       end = after.rfind('/', end - 1)) {
    std::string_view of = after.substr(0, end);
    if (!scope.tape) {
      if (of.size() <= kGrad.size() ||
          of.substr(of.size() - kGrad.size()) != kGrad) {
        continue;
      }
      of.remove_suffix(kGrad.size());
    }
    int32_t op = graph.find(of);
    for (size_t slash = before.find('/');
         op < 0 && slash != std::string_view::npos;
         slash = before.find('/', slash + 1)) {
      prefixed.assign(before.substr(0, slash + 1)).append(of);
      op = graph.find(prefixed);
    }
    if (op >= 0) return op;
  }
  return -1;
}

// By op: was a gradient taken of it, or of something that is computed from it?
std::vector<bool> Differentiated(const OpGraph& graph) {
  std::vector<bool> result(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (!graph.has(i, kBackward)) continue;
    const int32_t op = DifferentiatedOp(graph, graph.name(i));
    if (op >= 0) result[op] = true;
  }
  for (int32_t i = graph.num_ops(); i-- > 0;) {
    if (!result[i]) continue;
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port != kControlPort && !e.back_edge) result[e.src] = true;
    }
  }
  return result;
}

}  // namespace

void OpGraphBuilder::Annotate() {
  FlagTypes();
  FlagPreserved();
  FlagFrames();
  FlagBackward();
  FindVariables();
  Colocate();
}

void OpGraphBuilder::FlagTypes() {
  OpGraph& g = graph_;
  std::vector<uint32_t> of_type;
  for (size_t t = 0; t < types_.size(); ++t) {
    const OpDef& def = *types_[t].def;
    const std::string_view op = g.op_types_[t];
    uint32_t flags = 0;
    if (def.stateful || !def.known) flags |= kStateful;
    if (!def.known) flags |= kUnknownOp;
    if (def.random) flags |= kRandom;
    if (def.reads_variable) flags |= kReadsVariable;
    if (def.writes_variable) flags |= kWritesVariable;
    if (def.op_class == OpClass::kCall) flags |= kHasSubgraph;
    if (def.op_class == OpClass::kConstOp) flags |= kConstant;
    if (def.ref_output) flags |= kRefTyped;
    if (def.op_class == OpClass::kControl && op != "NoOp" && op != "Assert" &&
        op != "DeviceIndex") {
      flags |= kControlFlow;
    }
    if (types_[t].source) flags |= kSource;
    if (op == "_Retval") flags |= kSink;
    of_type.push_back(flags);
  }
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    g.flags_[i] |= of_type[g.type_[i]];
    if (dtype_[i] > kFirstRef) g.flags_[i] |= kRefTyped;
    if (!g.def(i).ref_output) continue;
    for (const OutputEdge& e : g.outputs(i)) {
      if (e.port != kControlPort) g.flags_[e.dst] |= kRefTyped;
    }
  }
}

void OpGraphBuilder::FlagPreserved() {
  for (const auto* names : {&options_.fetches, &options_.preserve}) {
    for (std::string_view name : *names) {
      const int32_t i = graph_.find(name);
      if (i >= 0) graph_.flags_[i] |= kPreserved;
    }
  }
}

// How deep an op stands in frames (Enter ... Exit) and in branches (Switch ...
// Merge) is the most that its inputs say.
void OpGraphBuilder::FlagFrames() {
  OpGraph& g = graph_;
  struct Nesting {
    int32_t frames = 0;
    int32_t branches = 0;
  };
  Scratch<Nesting> after(g.num_ops());
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    Nesting at;
    bool loop_merge = false;
    for (const InputEdge& e : g.inputs(i)) {
      if (e.back_edge) {
        loop_merge = true;
        continue;
      }
      at.frames = std::max(at.frames, after[e.src].frames);
      at.branches = std::max(at.branches, after[e.src].branches);
    }
    const std::string_view op = g.op(i);
    after[i] = at;
    if (g.has(i, kControlFlow)) {
      if (IsEnter(op)) {
        at.frames = ++after[i].frames;
      } else if (IsExit(op)) {
        after[i].frames = std::max(0, at.frames - 1);
        after[i].branches = std::max(0, at.branches - 1);
      } else if (op == "Switch" || op == "RefSwitch" || op == "_SwitchN") {
        ++after[i].branches;
      } else if ((op == "Merge" || op == "RefMerge") && !loop_merge) {
        at.branches = after[i].branches = std::max(0, at.branches - 1);
      }
    }
    if (at.frames > 0) g.flags_[i] |= kInLoop;
    if (at.branches > 0) g.flags_[i] |= kConditional;
  }
}

void OpGraphBuilder::FlagBackward() {
  OpGraph& g = graph_;
  const int32_t n = g.num_ops();
  // Rule 1 was applied when the name was read.
  const std::vector<bool> differentiated = Differentiated(g);
  // Downwards: rule 2, and what is among the ancestors: a fed tensor, or
  // nothing but constants.
  std::vector<bool> fed(n), constant(n);
  for (int32_t i = 0; i < n; ++i) {
    bool backward = false, inputs_constant = true;
    int32_t inputs = 0;
    // Iterators, calls and random numbers feed as well as arguments do.
    const bool of_variable =
        g.has(i, kReadsVariable | kWritesVariable) && !g.has(i, kHasSubgraph);
    fed[i] = g.has(i, kSource | kStateful) && !MakesHandle(g.op(i)) &&
             dtype_[i] != kResource && !of_variable;
    for (const InputEdge& e : g.inputs(i)) {
      if (e.port == kControlPort) continue;
      ++inputs;
      inputs_constant = inputs_constant && !e.back_edge && constant[e.src];
      if (e.back_edge) continue;
      backward = backward || g.has(e.src, kBackward);
      if (fed[e.src]) fed[i] = true;
    }
    constant[i] = g.has(i, kConstant) ||
                  (inputs > 0 && inputs_constant && !fed[i] && !of_variable);
    if (differentiated[i] || constant[i]) {
      g.flags_[i] &= ~uint32_t{kBackward};
    } else if (backward) {
      g.flags_[i] |= kBackward;
    }
  }
  // Upwards: rule 3. Handles and arguments belong to no pass.
  for (int32_t i = n; i-- > 0;) {
    if (fed[i] || g.has(i, kBackward | kSource)) continue;
    int32_t consumers = 0;
    bool all_backward = true;
    for (const OutputEdge& e : g.outputs(i)) {
      if (e.port == kControlPort) continue;
      ++consumers;
      all_backward = all_backward && g.has(e.dst, kBackward);
    }
    if (consumers > 0 && all_backward) g.flags_[i] |= kBackward;
  }
}

void OpGraphBuilder::FindVariables() {
  OpGraph& g = graph_;
  g.handle_.assign(g.num_ops(), -1);
  g.variable_.assign(g.num_ops(), -1);
  std::vector<bool> makes, passes;
  for (std::string_view op : g.op_types_) {
    makes.push_back(MakesHandle(op));
    passes.push_back(PassesHandleOn(op));
  }
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    const int32_t type = g.type_[i];
    if (makes[type] || (g.has(i, kSource) && dtype_[i] == kResource)) {
      g.handle_[i] = i;
      continue;
    }
    for (const InputEdge& e : g.inputs(i)) {
      if (e.port == kControlPort) break;
      const int32_t variable = g.handle_[e.src];
      if (variable < 0 || e.back_edge) continue;
      const bool reference = g.def(e.src).ref_output;
      // Identity of a reference is how TF1 programs read a variable.
      if (passes[type] && (!reference || g.def(i).ref_output)) {
        g.handle_[i] = variable;
      } else if (passes[type]) {
        g.flags_[i] |= kReadsVariable;
      } else if (g.has(i, kUnknownOp)) {
        g.flags_[i] |= kReadsVariable | kWritesVariable;
      }
      if (g.has(i, kReadsVariable | kWritesVariable) &&
          !g.has(i, kHasSubgraph)) {
        g.variable_[i] = variable;
        // Assign and its like output the reference they were given.
        if (reference && g.def(i).ref_output) g.handle_[i] = variable;
      }
      break;
    }
  }
}

void OpGraphBuilder::Colocate() {
  OpGraph& g = graph_;
  Sets sets(g.num_ops());
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    if (g.has(i, kHasSubgraph)) continue;
    for (const InputEdge& e : g.inputs(i)) {
      if (e.port != kControlPort && g.handle_[e.src] >= 0) sets.Join(i, e.src);
    }
  }
  // "loc:@x" names an op, or just a group when there is no op of that name.
  constexpr std::string_view kPrefix = "loc:@";
  StringTable groups;
  std::vector<int32_t> first_of_group;
  for (const auto& [at, value] : class_attrs_) {
    WireReader reader(value);
    WireField field, item;
    while (reader.Next(&field)) {
      if (field.number != 1 || field.type != WireType::kBytes) continue;
      WireReader list(field.bytes);
      while (list.Next(&item)) {
        if (item.number != 2 || item.type != WireType::kBytes ||
            item.bytes.substr(0, kPrefix.size()) != kPrefix) {
          continue;
        }
        const std::string_view name = item.bytes.substr(kPrefix.size());
        const int32_t i = g.op_at(at);
        int32_t other = g.find(name);
        if (other < 0) {
          const auto group = static_cast<size_t>(groups.Intern(name));
          if (group == first_of_group.size()) first_of_group.push_back(i);
          other = first_of_group[group];
        }
        sets.Join(i, other);
      }
    }
  }
  g.colocation_ = sets.TakeRoots();
  std::vector<bool> shared(g.num_ops(), false);
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    if (g.colocation_[i] != i) shared[g.colocation_[i]] = true;
  }
  // Roots come first in their sets: they have their group's number already.
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    int32_t& group = g.colocation_[i];
    if (group != i) {
      group = g.colocation_[group];
    } else {
      group = shared[i] ? g.num_colocation_groups_++ : -1;
    }
  }
}

}  // namespace grappler_go
