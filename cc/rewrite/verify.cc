// The verifier knows the rules of verify.h and nothing of the rewrites: what a
// node may have become is decided from the two graphs alone.
#include "cc/rewrite/verify.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewritten_graph.h"

namespace grappler_go {
namespace {

// Ops that may not run twice, nor read what another copy of them made.
constexpr uint32_t kOnlyOnce = kStateful | kRandom | kReadsVariable |
                               kWritesVariable | kControlFlow | kSource |
                               kSink | kUnknownOp | kHasSubgraph | kRefTyped;
// A new control edge may not start at an op that may not run, nor tie two
// frames.
constexpr uint32_t kNoNewSource = kInLoop | kControlFlow | kConditional;
constexpr uint32_t kNoNewTarget = kInLoop | kControlFlow;

// May an op of this type be one of the parts that another is taken apart into?
bool ComputesOnly(const OpDef& def) {
  return def.known && !def.stateful && !def.random && !def.reads_variable &&
         !def.writes_variable && !def.ref_output &&
         def.op_class != OpClass::kControl &&
         def.op_class != OpClass::kArgument && def.op_class != OpClass::kCall;
}

// Equal but for decisions. Sorted lists.
bool SameAttrs(const NodeView& a, const NodeView& b) {
  auto x = a.attrs.begin(), y = b.attrs.begin();
  while (true) {
    while (x != a.attrs.end() && IsDecisionAttr(x->first)) ++x;
    while (y != b.attrs.end() && IsDecisionAttr(y->first)) ++y;
    if (x == a.attrs.end() || y == b.attrs.end()) {
      return x == a.attrs.end() && y == b.attrs.end();
    }
    if (*x++ != *y++) return false;
  }
}

bool Contains(const std::vector<std::string_view>& list,
              std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// "CPU" of ".../device:CPU:0" and ".../cpu:0".
std::string DeviceType(std::string_view device) {
  std::string_view last = device.substr(device.rfind('/') + 1);
  if (last.substr(0, 7) == "device:") last.remove_prefix(7);
  std::string type(last.substr(0, last.find(':')));
  for (char& c : type) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return type;
}

class Verifier {
 public:
  Verifier(const OpGraph& original, const RewrittenGraph& now,
           const VerifyOptions& options)
      : original_(original), now_(now), options_(options) {}

  Status Run() {
    const int32_t num_added = now_.num_nodes() - original_.num_ops();
    origin_.assign(num_added, -1);
    part_of_.assign(num_added, -1);
    if (num_added > 0 || !now_.changed().empty()) {
      slot_.assign(now_.num_nodes(), -1);
    }
    for (const RewrittenGraph::Changed& changed : now_.changed()) {
      GO_RETURN_IF_ERROR(CheckChanged(changed));
    }
    // Grows while it is walked: a copy may read further copies.
    for (size_t k = 0; k < copies_.size(); ++k) {
      GO_RETURN_IF_ERROR(CheckCopy(copies_[k]));
    }
    for (int32_t j = original_.num_ops(); j < now_.num_nodes(); ++j) {
      if (OriginOf(j) < 0) {
        return Refuse(now_.name(j), "a new node that nothing needs");
      }
    }
    GO_RETURN_IF_ERROR(CheckNewControlEdges());
    GO_RETURN_IF_ERROR(CheckCycles());
    GO_RETURN_IF_ERROR(CheckDevices());
    return CheckColocation();
  }

 private:
  static Status Refuse(std::string_view node, const std::string& rule) {
    return InvalidArgument(std::string(node) + ": " + rule);
  }

  // The original op that a node is, is a copy of, or is a part of; -1: none.
  int32_t OriginOf(int32_t j) const {
    if (!now_.is_added(j)) return j;
    const int32_t k = j - original_.num_ops();
    return origin_[k] >= 0 ? origin_[k] : part_of_[k];
  }
  int32_t& CopyOf(int32_t j) { return origin_[j - original_.num_ops()]; }
  int32_t& PartOf(int32_t j) { return part_of_[j - original_.num_ops()]; }

  Status CheckChanged(const RewrittenGraph::Changed& changed) {
    const int32_t i = changed.op;
    NodeView before, after;
    if (!ReadNode(original_.node(i), &before) ||
        !ReadNode(changed.bytes, &after)) {
      return Refuse(original_.name(i), "the node is malformed");
    }
    GO_RETURN_IF_ERROR(NoteInputs(i, changed.bytes));
    if (before.op != after.op) return CheckTakenApart(i, before, after);
    if (!SameAttrs(before, after)) {
      return Refuse(before.name, "an attribute changed");
    }
    if (original_.has(i, kPreserved) &&
        before.data_inputs != after.data_inputs) {
      return Refuse(before.name, "an input of a preserved node changed");
    }
    GO_RETURN_IF_ERROR(CheckControlInputs(i, before, after));
    return CheckDataInputs(before, after);
  }

  // Remembers what a changed or new node reads, for CheckCycles. Data inputs
  // come first, TensorFlow demands it.
  Status NoteInputs(int32_t j, std::string_view bytes) {
    slot_[j] = static_cast<int32_t>(first_input_.size());
    first_input_.push_back(static_cast<int32_t>(inputs_.size()));
    WireReader reader(bytes);
    WireField field;
    bool control = false;
    while (reader.Next(&field)) {
      if (field.number != kNodeInput || field.type != WireType::kBytes) {
        continue;
      }
      if (field.bytes.substr(0, 1) == "^") {
        control = true;
      } else if (control) {
        return Refuse(now_.name(j), "a data input after a control input");
      }
      const int32_t src = now_.find(InputNode(field.bytes));
      if (src < 0) {
        return Refuse(now_.name(j), "an input that does not exist: " +
                                        std::string(field.bytes));
      }
      inputs_.push_back(src);
    }
    return OkStatus();
  }

  // None was dropped, none is there twice.
  Status CheckControlInputs(int32_t j, const NodeView& old_node,
                            const NodeView& new_node) {
    std::vector<std::string_view> old_inputs = old_node.control_inputs;
    std::vector<std::string_view> new_inputs = new_node.control_inputs;
    std::sort(old_inputs.begin(), old_inputs.end());
    std::sort(new_inputs.begin(), new_inputs.end());
    if (!std::includes(new_inputs.begin(), new_inputs.end(), old_inputs.begin(),
                       old_inputs.end())) {
      return Refuse(new_node.name, "a control input is gone");
    }
    std::vector<std::string_view> added;
    std::set_difference(new_inputs.begin(), new_inputs.end(),
                        old_inputs.begin(), old_inputs.end(),
                        std::back_inserter(added));
    for (size_t k = 0; k < added.size(); ++k) {
      if ((k > 0 && added[k] == added[k - 1]) ||
          std::binary_search(old_inputs.begin(), old_inputs.end(), added[k])) {
        return Refuse(new_node.name, "duplicate control input");
      }
      new_control_edges_.emplace_back(now_.find(InputNode(added[k])), j);
    }
    return OkStatus();
  }

  // Once it is known what every added node stands for.
  Status CheckNewControlEdges() const {
    for (const auto& [src, dst] : new_control_edges_) {
      if (src < 0 || original_.has(OriginOf(src), kNoNewSource) ||
          original_.has(OriginOf(dst), kNoNewTarget)) {
        return Refuse(now_.name(dst),
                      "a new control edge crosses control flow");
      }
    }
    return OkStatus();
  }

  Status CheckDataInputs(const NodeView& old_node, const NodeView& new_node) {
    if (old_node.data_inputs.size() != new_node.data_inputs.size()) {
      return Refuse(new_node.name, "the number of inputs changed");
    }
    for (size_t k = 0; k < old_node.data_inputs.size(); ++k) {
      if (!Stands(old_node.data_inputs[k], new_node.data_inputs[k])) {
        return Refuse(new_node.name,
                      "input " + std::to_string(k) + " reads another value");
      }
    }
    return OkStatus();
  }

  // Does `now` give the value that `was` gives in the original? Yes when it is
  // the same, a copy of the producer (checked later), or one of its parts.
  bool Stands(std::string_view was, std::string_view now) {
    if (was == now) return true;
    if (InputPort(was) != InputPort(now)) return false;
    const int32_t j = now_.find(InputNode(now));
    if (j < 0 || !now_.is_added(j)) return false;
    const int32_t producer = original_.find(InputNode(was));
    if (producer < 0) return false;
    if (CopyOf(j) >= 0) return CopyOf(j) == producer;
    if (IsCopy(j, producer)) {
      CopyOf(j) = producer;
      copies_.push_back(j);
      return true;
    }
    // Outputs past the first of a batch normalization taken apart.
    return InputPort(was) > 0 &&
           original_.op(producer) == "_FusedBatchNormEx" &&
           now_.added(j).op == "FusedBatchNormV3" && IsNamedPart(j, producer);
  }

  // Same op, same attributes. Its inputs are looked at in CheckCopy.
  bool IsCopy(int32_t j, int32_t i) const {
    if (now_.added(j).op != original_.op(i)) return false;
    NodeView old_node, new_node;
    return ReadNode(original_.node(i), &old_node) &&
           ReadNode(now_.added(j).bytes, &new_node) &&
           SameAttrs(old_node, new_node);
  }

  bool IsNamedPart(int32_t j, int32_t i) const {
    const std::string_view name = now_.name(j);
    const std::string_view whole = original_.name(i);
    return name.size() > whole.size() + 1 && name[whole.size()] == '/' &&
           name.compare(0, whole.size(), whole) == 0;
  }

  Status CheckCopy(int32_t j) {
    const int32_t i = CopyOf(j);
    if (original_.has(i, kOnlyOnce)) {
      return Refuse(now_.name(j), "a copy of " +
                                      std::string(original_.name(i)) +
                                      ", which may run only once");
    }
    NodeView old_node, new_node;
    if (!ReadNode(original_.node(i), &old_node) ||
        !ReadNode(now_.added(j).bytes, &new_node)) {
      return Refuse(now_.name(j), "the node is malformed");
    }
    GO_RETURN_IF_ERROR(NoteInputs(j, now_.added(j).bytes));
    GO_RETURN_IF_ERROR(CheckControlInputs(j, old_node, new_node));
    return CheckDataInputs(old_node, new_node);
  }

  // An op of another type has the name now: the old one must have been made by
  // the remapper, and what it is made of must read all that it read, and no
  // more.
  Status CheckTakenApart(int32_t i, const NodeView& whole,
                         const NodeView& last) {
    const std::string_view name = original_.name(i);
    if (!original_.def(i).remapped || original_.has(i, kPreserved)) {
      return Refuse(name, "the op changed");
    }
    new_type_.emplace(i, last.op);
    std::vector<uint8_t> read(whole.data_inputs.size());
    NodeView joined;  // of all parts
    joined.name = name;
    std::vector<int32_t> parts = {i};
    for (size_t p = 0; p < parts.size(); ++p) {
      NodeView node = last;
      if (p > 0) {
        const std::string_view bytes = now_.added(parts[p]).bytes;
        if (!ReadNode(bytes, &node)) {
          return Refuse(name, "the node is malformed");
        }
        GO_RETURN_IF_ERROR(NoteInputs(parts[p], bytes));
      }
      if (!ComputesOnly(*FindOpDef(node.op))) {
        return Refuse(node.name, "not a part that computes only");
      }
      for (std::string_view input : node.control_inputs) {
        if (!Contains(joined.control_inputs, input)) {
          joined.control_inputs.push_back(input);
        }
      }
      for (std::string_view input : node.data_inputs) {
        bool outside = false;
        for (size_t k = 0; k < read.size(); ++k) {
          if (!Stands(whole.data_inputs[k], input)) continue;
          read[k] = 1;
          outside = true;
        }
        if (outside) continue;
        const int32_t src = now_.find(InputNode(input));
        if (src < 0 || !now_.is_added(src) || !IsNamedPart(src, i) ||
            (PartOf(src) >= 0 && PartOf(src) != i)) {
          return Refuse(node.name, "reads another value");
        }
        if (PartOf(src) < 0) parts.push_back(src);
        PartOf(src) = i;
      }
    }
    if (std::find(read.begin(), read.end(), 0) != read.end()) {
      return Refuse(name, "taken apart, an input is read no more");
    }
    return CheckControlInputs(i, whole, joined);
  }

  // Is `src` -> `dst` the way back of a loop?
  bool IsBackEdge(int32_t src, int32_t dst) const {
    const std::string_view to = original_.op(OriginOf(dst));
    if (to != "Merge" && to != "RefMerge") return false;
    const std::string_view from = original_.op(OriginOf(src));
    return from == "NextIteration" || from == "RefNextIteration";
  }

  // Depth first, against the edges, from every node that reads something else
  // now: a new cycle leads through one of them.
  Status CheckCycles() const {
    enum : uint8_t { kNew, kOpen, kDone };
    std::vector<uint8_t> state(slot_.size(), kNew);
    struct Visit {
      int32_t node;
      int32_t next;  // of its inputs
    };
    std::vector<Visit> path;
    for (int32_t start = 0; start < static_cast<int32_t>(slot_.size());
         ++start) {
      if (slot_[start] < 0 || state[start] != kNew) continue;
      state[start] = kOpen;
      path.push_back({start, 0});
      while (!path.empty()) {
        const int32_t j = path.back().node;
        const int32_t src = Input(j, path.back().next++);
        if (src < 0) {
          state[j] = kDone;
          path.pop_back();
        } else if (state[src] == kDone || IsBackEdge(src, j)) {
          continue;
        } else if (state[src] == kOpen) {
          return Refuse(now_.name(j), "part of a new cycle");
        } else {
          state[src] = kOpen;
          path.push_back({src, 0});
        }
      }
    }
    return OkStatus();
  }

  // The k-th node that a node reads; -1 past the last.
  int32_t Input(int32_t j, int32_t k) const {
    const int32_t slot = slot_[j];
    if (slot < 0) {
      const Span<InputEdge> inputs = original_.inputs(j);
      return k < static_cast<int32_t>(inputs.size()) ? inputs[k].src : -1;
    }
    const int32_t at = first_input_[slot] + k;
    const int32_t end = slot + 1 < static_cast<int32_t>(first_input_.size())
                            ? first_input_[slot + 1]
                            : static_cast<int32_t>(inputs_.size());
    return at < end ? inputs_[at] : -1;
  }

  // Every node that is elsewhere, of another type, or new.
  Status CheckDevices() const {
    std::unordered_set<std::string_view> devices(options_.devices.begin(),
                                                 options_.devices.end());
    std::string_view last;
    for (int32_t i = 0; i < original_.num_ops(); ++i) {
      // Most ops are where the one before is.
      const std::string_view device = original_.device(i);
      if (i == 0 || device != last) devices.insert(device);
      last = device;
    }
    for (int32_t i = 0; now_.any_moved() && i < original_.num_ops(); ++i) {
      if (now_.device(i) == original_.device(i)) continue;
      GO_RETURN_IF_ERROR(CheckDevice(i, original_.op(i), devices));
    }
    for (const auto& [i, op] : new_type_) {
      GO_RETURN_IF_ERROR(CheckDevice(i, op, devices));
    }
    for (int32_t j = original_.num_ops(); j < now_.num_nodes(); ++j) {
      GO_RETURN_IF_ERROR(CheckDevice(j, now_.added(j).op, devices));
    }
    return OkStatus();
  }

  Status CheckDevice(
      int32_t j, std::string_view op,
      const std::unordered_set<std::string_view>& devices) const {
    const std::string_view device = now_.device(j);
    if (devices.count(device) == 0) {
      return Refuse(now_.name(j),
                    "device " + std::string(device) + " does not exist");
    }
    if (options_.has_kernel != nullptr && !device.empty() &&
        !options_.has_kernel(op, DeviceType(device))) {
      return Refuse(now_.name(j), "no kernel for " + std::string(op) + " on " +
                                      std::string(device));
    }
    return OkStatus();
  }

  // Those that shared a device share one still; a group that was apart before
  // stays as it was. New nodes stay with the op they stand for.
  Status CheckColocation() const {
    std::vector<int32_t> first(original_.num_colocation_groups(), -1);
    for (int32_t i = 0; now_.any_moved() && i < original_.num_ops(); ++i) {
      const int32_t group = original_.colocation_group(i);
      if (group < 0) continue;
      if (first[group] < 0) first[group] = i;
      const int32_t f = first[group];
      const bool together = original_.device(i) == original_.device(f);
      const bool still = together ? now_.device(i) == now_.device(f)
                                  : now_.device(i) == original_.device(i) &&
                                        now_.device(f) == original_.device(f);
      if (!still) {
        return Refuse(original_.name(i), "no longer on the device of " +
                                             std::string(original_.name(f)) +
                                             ", its colocation group's");
      }
    }
    for (int32_t j = original_.num_ops(); j < now_.num_nodes(); ++j) {
      const int32_t i = OriginOf(j);
      if (original_.colocation_group(i) >= 0 &&
          now_.device(j) != now_.device(i)) {
        return Refuse(now_.name(j), "not on its colocation group's device");
      }
    }
    return OkStatus();
  }

  const OpGraph& original_;
  const RewrittenGraph& now_;
  const VerifyOptions& options_;
  std::vector<int32_t> origin_, part_of_;  // of added nodes, -1: none
  std::vector<int32_t> copies_;
  // Original ops that were taken apart, and the type that has their name now.
  std::unordered_map<int32_t, std::string_view> new_type_;
  std::vector<std::pair<int32_t, int32_t>> new_control_edges_;
  // Nodes read by changed and new nodes: those of j are inputs_ from
  // first_input_[slot_[j]] on. Empty, or -1: as in the original.
  std::vector<int32_t> slot_, first_input_, inputs_;
};

}  // namespace

Status VerifyRewrite(const OpGraph& original, std::string_view rewritten,
                     const VerifyOptions& options) {
  StatusOr<RewrittenGraph> now = RewrittenGraph::Read(original, rewritten);
  if (!now.ok()) return now.status();
  return Verifier(original, *now, options).Run();
}

}  // namespace grappler_go
