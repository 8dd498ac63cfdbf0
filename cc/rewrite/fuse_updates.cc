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
        is_write_(graph.num_ops(), 0),
        is_read_(graph.num_ops(), 0),
        kept_(graph.num_ops(), 0),
        gone_(graph.num_ops(), 0) {}

  void Write(const std::vector<VariableUpdate>& updates) {
    std::vector<std::vector<int32_t>> parts;
    for (const VariableUpdate& update : updates) {
      parts.push_back(PartsOf(update));
      is_write_[update.write] = 1;
      for (const int32_t op : update.slot_writes) is_write_[op] = 1;
      for (const int32_t op : update.reads) is_read_[op] = 1;
      kept_[update.gradient.op] = 1;
      for (const Output& scalar : update.scalars) kept_[scalar.op] = 1;
    }
    LeaveOut(parts);
    for (size_t k = 0; k < updates.size(); ++k) {
      WriteKernel(updates[k], parts[k]);
      const std::string kernel =
          "^" + std::string(graph_.name(updates[k].write));
      for (const int32_t op : updates[k].slot_writes) WriteNoOp(op, kernel);
    }
  }

  std::string Bytes() const { return edits_.Write(); }

 private:
  static bool Contains(const std::vector<int32_t>& ops, int32_t op) {
    return std::find(ops.begin(), ops.end(), op) != ops.end();
  }

  static std::vector<int32_t> PartsOf(const VariableUpdate& update) {
    std::vector<int32_t> parts = update.computed;
    for (const auto* ops : {&update.reads, &update.slot_writes}) {
      parts.insert(parts.end(), ops->begin(), ops->end());
    }
    parts.push_back(update.write);
    std::sort(parts.begin(), parts.end());
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    return parts;
  }

  // From the last part to the first: one whose readers are gone is without any.
  void LeaveOut(const std::vector<std::vector<int32_t>>& parts) {
    std::map<int32_t, int32_t> update_of;  // of those of several, the last's
    for (size_t k = 0; k < parts.size(); ++k) {
      for (const int32_t op : parts[k]) {
        update_of[op] = static_cast<int32_t>(k);
      }
    }
    const auto is_needed = [&](int32_t op) {
      for (const OutputEdge& e : graph_.outputs(op)) {
        const auto reader = update_of.find(e.dst);
        if (e.port != kControlPort) {
          if (!gone_[e.dst] && !is_write_[e.dst]) return true;
        } else if (!graph_.has(op, kPreserved) &&
                   (reader == update_of.end() ||
                    reader->second != update_of[op])) {
          return true;  // who waits for it by its name
        }
      }
      return false;
    };
    for (auto at = update_of.rbegin(); at != update_of.rend(); ++at) {
      const int32_t op = at->first;
      if (is_write_[op] || kept_[op] || is_needed(op)) continue;
      if (!graph_.has(op, kPreserved)) {
        edits_.Remove(op);
        gone_[op] = 1;
      } else if (is_read_[op] && fetched_.count(graph_.name(op)) == 0) {
        WriteNoOp(op, "");
        gone_[op] = 1;
      }
    }
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
    for (const int32_t op : ControlInputs(update, parts)) {
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
  }

  bool ConstantValue(Output output, double* value) const {
    return graph_.has(output.op, kConstant) &&
           ParseScalar(AttrTensor(graph_.attr(output.op, "value")), value);
  }

  // What any of the parts waited for beside the others; and reads of a slot's
  // old value that somebody needs, which the slot's write waited for.
  std::set<int32_t> ControlInputs(const VariableUpdate& update,
                                  const std::vector<int32_t>& parts) const {
    std::set<int32_t> ops;
    const auto is_part = [&](int32_t op) {
      return std::binary_search(parts.begin(), parts.end(), op);
    };
    for (const int32_t read : update.reads) {
      bool of_new_value = gone_[read] != 0;
      for (const InputEdge& e : graph_.inputs(read)) {
        of_new_value |= Contains(update.slot_writes, e.src);
      }
      if (!of_new_value) ops.insert(read);
    }
    for (const int32_t op : parts) {
      for (const InputEdge& e : graph_.inputs(op)) {
        if (e.port == kControlPort && !is_part(e.src)) ops.insert(e.src);
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
  // By op. Writes of variables and slots; reads of slots; what kernels read;
  // what is not there any more, or computes nothing.
  std::vector<uint8_t> is_write_, is_read_, kept_, gone_;
  std::map<std::tuple<std::string, int, double>, std::string> constants_;
};

}  // namespace

FusedUpdates FuseUpdates(const OpGraph& graph,
                         const std::vector<std::string_view>& fetches) {
  const std::vector<VariableUpdate> updates = FindVariableUpdates(graph);
  FusedUpdates result;
  if (updates.empty()) return result;
  Writer writer(graph, fetches);
  writer.Write(updates);
  result.graphdef = writer.Bytes();
  result.count = static_cast<int32_t>(updates.size());
  return result;
}

}  // namespace grappler_go
