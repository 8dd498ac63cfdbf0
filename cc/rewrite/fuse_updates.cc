#include "cc/rewrite/fuse_updates.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "cc/graph/attr_value.h"
#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"
#include "cc/rewrite/update_rules.h"

namespace grappler_go {
namespace {

using Rule = VariableUpdate::Rule;

// A TensorProto of one element and no dimensions.
std::string ScalarTensor(int dtype, double value) {
  std::string tensor;
  AppendVarintField(1, static_cast<uint64_t>(dtype), &tensor);
  AppendBytesField(2, "", &tensor);
  std::string content(dtype == dt::kFloat ? 4 : 8, '\0');
  const auto narrow = static_cast<float>(value);
  std::memcpy(content.data(),
              dtype == dt::kFloat ? static_cast<const void*>(&narrow) : &value,
              content.size());
  AppendBytesField(4, content, &tensor);
  return tensor;
}

bool IsHidden(std::string_view attr) { return !attr.empty() && attr[0] == '_'; }

class Writer {
 public:
  Writer(const OpGraph& graph, const std::vector<std::string_view>& fetches)
      : graph_(graph),
        edits_(graph),
        fetched_(fetches.begin(), fetches.end()),
        gone_(graph.num_ops(), 0) {}

  void Write(const VariableUpdate& update) {
    std::vector<int32_t> parts = update.computed;
    for (const auto* ops : {&update.reads, &update.slot_writes}) {
      parts.insert(parts.end(), ops->begin(), ops->end());
    }
    parts.push_back(update.write);
    std::sort(parts.begin(), parts.end());
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    WriteKernel(update, parts);
    const std::string kernel = "^" + std::string(graph_.name(update.write));
    for (const int32_t op : update.slot_writes) WriteNoOp(op, kernel);
    // From the last to the first: an op whose readers are gone is without any.
    for (size_t k = parts.size(); k-- > 0;) {
      const int32_t op = parts[k];
      const bool is_write =
          op == update.write || Contains(update.slot_writes, op);
      if (is_write || IsRead(op)) continue;
      if (graph_.has(op, kPreserved)) {
        if (Contains(update.reads, op) && fetched_.count(graph_.name(op)) == 0)
          WriteNoOp(op, "");
        continue;
      }
      gone_[op] = 1;
      edits_.Remove(op);
    }
  }

  std::string Bytes() const { return edits_.Write(); }

 private:
  static bool Contains(const std::vector<int32_t>& ops, int32_t op) {
    return std::find(ops.begin(), ops.end(), op) != ops.end();
  }

  // Does anybody still read what it computes, or wait for it?
  bool IsRead(int32_t op) const {
    for (const OutputEdge& e : graph_.outputs(op)) {
      if (gone_[e.dst] || rewritten_.count(e.dst) != 0) continue;
      // A node that is kept by its name may go on waiting for it.
      if (e.port != kControlPort || !graph_.has(op, kPreserved)) return true;
    }
    return false;
  }

  void WriteKernel(const VariableUpdate& update,
                   const std::vector<int32_t>& parts) {
    NodeView old;
    const std::string_view bytes = graph_.node(update.write);
    if (!ReadNode(bytes, &old)) return;
    NodeView node;
    node.name = old.name;
    node.op = update.kernel();
    node.device = old.device;
    std::vector<std::string> inputs, controls;
    const auto add = [&](Output output) {
      inputs.push_back(InputName(graph_.name(output.op), output.port));
    };
    const auto constant = [&](double value) {
      inputs.push_back(Constant(update, value));
    };
    add(update.variable);
    for (const Output& slot : update.slots) add(slot);
    switch (update.rule) {
      case Rule::kGradientDescent:
        add(update.scalars[0]);
        add(update.gradient);
        break;
      case Rule::kMomentum:
      case Rule::kNesterovMomentum:
        add(update.scalars[0]);
        add(update.gradient);
        add(update.scalars[1]);
        break;
      case Rule::kAdam:
        // The kernel corrects its rate by sqrt(1 - beta2_power) /
        // (1 - beta1_power). The graph's is corrected already; what is left is
        // that sqrt(v) comes out sqrt(v_scale) times as large.
        constant(0);
        constant(1 - update.v_scale);
        add(update.scalars[0]);
        constant(update.beta1);
        constant(update.beta2);
        if (double epsilon = 0; ConstantValue(update.scalars[1], &epsilon)) {
          constant(epsilon * std::sqrt(update.v_scale));
        } else {
          add(update.scalars[1]);
        }
        add(update.gradient);
        break;
    }
    for (const int32_t op : ControlInputs(parts)) {
      controls.push_back("^" + std::string(graph_.name(op)));
    }
    for (const std::string& one : inputs) node.data_inputs.push_back(one);
    for (const std::string& one : controls) node.control_inputs.push_back(one);
    const std::string type = TypeAttrValue(update.dtype);
    const std::string yes = BoolAttrValue(true);
    node.attrs = {{"T", type}, {"use_locking", yes}};
    if (update.rule == Rule::kNesterovMomentum) {
      node.attrs.emplace_back("use_nesterov", yes);
    }
    for (const NodeView::Attr& attr : old.attrs) {
      if (IsHidden(attr.first) && attr.first != "_output_shapes") {
        node.attrs.push_back(attr);
      }
    }
    edits_.Replace(update.write, WriteNode(node));
    rewritten_.insert(update.write);
  }

  bool ConstantValue(Output output, double* value) const {
    return graph_.has(output.op, kConstant) &&
           ParseScalar(AttrTensor(graph_.attr(output.op, "value")), value);
  }

  // What any of the parts waited for beside the others. Reads of a slot's old
  // value stay before the kernel, as they were before its write.
  std::set<int32_t> ControlInputs(const std::vector<int32_t>& parts) const {
    std::set<int32_t> ops;
    for (const int32_t op : parts) {
      for (const InputEdge& e : graph_.inputs(op)) {
        if (e.port == kControlPort &&
            !std::binary_search(parts.begin(), parts.end(), e.src)) {
          ops.insert(e.src);
        }
      }
    }
    return ops;
  }

  void WriteNoOp(int32_t op, const std::string& waits_for) {
    NodeView old;
    if (!ReadNode(graph_.node(op), &old)) return;
    NodeView node;
    node.name = old.name;
    node.op = "NoOp";
    node.device = old.device;
    node.control_inputs = old.control_inputs;
    if (!waits_for.empty()) node.control_inputs.push_back(waits_for);
    edits_.Replace(op, WriteNode(node));
    rewritten_.insert(op);
  }

  // The name of a constant, made where there is none yet.
  std::string Constant(const VariableUpdate& update, double value) {
    const std::string_view device = graph_.device(update.write);
    const auto key = std::tuple(std::string(device), update.dtype, value);
    std::string& name = constants_[key];
    if (!name.empty()) return name;
    name = edits_.NewName("grappler_go/update/constant");
    NodeView node;
    node.name = name;
    node.op = "Const";
    node.device = device;
    std::string tensor;
    AppendBytesField(8, ScalarTensor(update.dtype, value), &tensor);
    const std::string type = TypeAttrValue(update.dtype);
    node.attrs = {{"dtype", type}, {"value", tensor}};
    edits_.Add(WriteNode(node));
    return name;
  }

  const OpGraph& graph_;
  GraphEdits edits_;
  const std::unordered_set<std::string_view> fetched_;
  std::vector<uint8_t> gone_;  // by op
  std::unordered_set<int32_t> rewritten_;
  std::map<std::tuple<std::string, int, double>, std::string> constants_;
};

}  // namespace

FusedUpdates FuseUpdates(const OpGraph& graph,
                         const std::vector<std::string_view>& fetches) {
  const std::vector<VariableUpdate> updates = FindVariableUpdates(graph);
  FusedUpdates result;
  if (updates.empty()) return result;
  Writer writer(graph, fetches);
  for (const VariableUpdate& update : updates) writer.Write(update);
  result.graphdef = writer.Bytes();
  result.count = static_cast<int32_t>(updates.size());
  return result;
}

}  // namespace grappler_go
