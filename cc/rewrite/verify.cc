// The verifier knows the rules of verify.h and nothing of the rewrites: what a
// node may have become is decided from the two graphs alone.
#include "cc/rewrite/verify.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "cc/graph/wire.h"
#include "cc/rewrite/fusion_groups.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

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

bool IsMark(std::string_view key) {
  return key == kPlannedAttr || key == kXlaCompileAttr ||
         key == kXlaScopeAttr || key == kXlaSeparateAttr;
}

// The next field of a GraphDef that is not a node; empty at the end.
std::string_view NextOther(WireReader* reader) {
  WireField field;
  while (reader->Next(&field)) {
    if (field.number != 1) {
      return {field.begin, static_cast<size_t>(field.end - field.begin)};
    }
  }
  return {};
}

// Equal but for the marks. Sorted lists.
bool SameAttrs(const NodeView& a, const NodeView& b) {
  auto x = a.attrs.begin(), y = b.attrs.begin();
  while (true) {
    while (x != a.attrs.end() && IsMark(x->first)) ++x;
    while (y != b.attrs.end() && IsMark(y->first)) ++y;
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
  Verifier(const OpGraph& original, const OpGraph& rewritten,
           const VerifyOptions& options)
      : original_(original), rewritten_(rewritten), options_(options) {}

  Status Run() {
    GO_RETURN_IF_ERROR(CheckOtherFields());
    GO_RETURN_IF_ERROR(MatchOps());
    for (int32_t i = 0; i < original_.num_ops(); ++i) {
      GO_RETURN_IF_ERROR(CheckOriginal(i));
    }
    // Grows while it is walked: a copy may read further copies.
    for (size_t k = 0; k < copies_.size(); ++k) {
      GO_RETURN_IF_ERROR(CheckCopy(copies_[k]));
    }
    for (int32_t j = 0; j < rewritten_.num_ops(); ++j) {
      if (origin_[j] < 0) GO_RETURN_IF_ERROR(CheckAdded(j));
    }
    GO_RETURN_IF_ERROR(CheckDevices());
    return CheckColocation();
  }

 private:
  static Status Refuse(std::string_view node, const std::string& rule) {
    return InvalidArgument(std::string(node) + ": " + rule);
  }

  Status CheckOtherFields() const {
    WireReader before(original_.graphdef()), after(rewritten_.graphdef());
    while (true) {
      const std::string_view a = NextOther(&before), b = NextOther(&after);
      if (a != b) return Refuse("graph", "versions or library changed");
      if (a.empty()) return OkStatus();
    }
  }

  // match_: original -> rewritten; origin_: rewritten -> original, -1: added.
  Status MatchOps() {
    const int32_t n = original_.num_ops();
    match_.assign(n, -1);
    origin_.assign(rewritten_.num_ops(), -1);
    copy_of_.assign(rewritten_.num_ops(), -1);
    part_of_.assign(rewritten_.num_ops(), -1);
    for (int32_t k = 0; k < n; ++k) {
      const int32_t i = original_.op_at(k);
      // Nodes usually keep their places.
      int32_t j = k < rewritten_.num_ops() ? rewritten_.op_at(k) : -1;
      if (j < 0 || rewritten_.name(j) != original_.name(i)) {
        j = rewritten_.find(original_.name(i));
      }
      if (j < 0) return Refuse(original_.name(i), "the node is gone");
      match_[i] = j;
      origin_[j] = i;
    }
    return OkStatus();
  }

  Status CheckOriginal(int32_t i) {
    const int32_t j = match_[i];
    const std::string_view before = original_.node(i);
    const std::string_view after = rewritten_.node(j);
    if (before == after) return OkStatus();
    if (after.size() > before.size() &&
        after.compare(0, before.size(), before) == 0) {
      // Ops of one group get the same bytes.
      const std::string_view appended = after.substr(before.size());
      if (appended == harmless_) return OkStatus();
      if (OnlyDecisions(appended)) {
        harmless_ = appended;
        return OkStatus();
      }
    }
    NodeView old_node, new_node;
    if (!ReadNode(before, &old_node) || !ReadNode(after, &new_node)) {
      return Refuse(original_.name(i), "the node is malformed");
    }
    if (old_node.op != new_node.op) return CheckTakenApart(i, j);
    if (!SameAttrs(old_node, new_node)) {
      return Refuse(old_node.name, "an attribute changed");
    }
    GO_RETURN_IF_ERROR(CheckControlInputs(j, old_node, new_node));
    if (original_.has(i, kPreserved) &&
        old_node.data_inputs != new_node.data_inputs) {
      return Refuse(old_node.name, "an input of a preserved node changed");
    }
    return CheckDataInputs(old_node, new_node);
  }

  // Appended bytes that hold a device and marks, and nothing else.
  static bool OnlyDecisions(std::string_view appended) {
    WireReader reader(appended);
    WireField field;
    NodeView::Attr attr;
    while (reader.Next(&field)) {
      if (field.type != WireType::kBytes) return false;
      if (field.number == kNodeDevice) continue;
      if (field.number != kNodeAttr || !ReadAttrEntry(field.bytes, &attr) ||
          !IsMark(attr.first)) {
        return false;
      }
    }
    return reader.ok();
  }

  // None was dropped, none is there twice, a new one starts at an op that runs.
  Status CheckControlInputs(int32_t j, const NodeView& old_node,
                            const NodeView& new_node) const {
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
      const int32_t src = rewritten_.find(InputNode(added[k]));
      if (src < 0 || rewritten_.has(src, kNoNewSource) ||
          rewritten_.has(j, kNoNewTarget)) {
        return Refuse(new_node.name, "a new control edge crosses control flow");
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
    const int32_t producer = original_.find(InputNode(was));
    const int32_t j = rewritten_.find(InputNode(now));
    if (producer < 0 || j < 0 || origin_[j] >= 0 ||
        InputPort(was) != InputPort(now)) {
      return false;
    }
    if (IsCopy(j, producer)) {
      if (copy_of_[j] < 0) {
        copy_of_[j] = producer;
        copies_.push_back(j);
      }
      return copy_of_[j] == producer;
    }
    // Outputs past the first of a batch normalization taken apart.
    return InputPort(was) > 0 &&
           original_.op(producer) == "_FusedBatchNormEx" &&
           rewritten_.op(j) == "FusedBatchNormV3" && IsNamedPart(j, producer);
  }

  // Same op, same attributes. Its inputs are looked at in CheckCopy.
  bool IsCopy(int32_t j, int32_t i) const {
    if (rewritten_.op(j) != original_.op(i)) return false;
    NodeView old_node, new_node;
    return ReadNode(original_.node(i), &old_node) &&
           ReadNode(rewritten_.node(j), &new_node) &&
           SameAttrs(old_node, new_node);
  }

  bool IsNamedPart(int32_t j, int32_t i) const {
    const std::string_view name = rewritten_.name(j);
    const std::string_view whole = original_.name(i);
    return name.size() > whole.size() + 1 && name[whole.size()] == '/' &&
           name.compare(0, whole.size(), whole) == 0;
  }

  Status CheckCopy(int32_t j) {
    const int32_t i = copy_of_[j];
    if (original_.has(i, kOnlyOnce)) {
      return Refuse(rewritten_.name(j), "a copy of " +
                                            std::string(original_.name(i)) +
                                            ", which may run only once");
    }
    NodeView old_node, new_node;
    if (!ReadNode(original_.node(i), &old_node) ||
        !ReadNode(rewritten_.node(j), &new_node)) {
      return Refuse(rewritten_.name(j), "the node is malformed");
    }
    GO_RETURN_IF_ERROR(CheckControlInputs(j, old_node, new_node));
    return CheckDataInputs(old_node, new_node);
  }

  // An op of another type has the name now: the old one must have been made by
  // the remapper, and what it is made of must read all that it read, and no
  // more.
  Status CheckTakenApart(int32_t i, int32_t j) {
    const std::string_view name = original_.name(i);
    if (!original_.def(i).remapped || original_.has(i, kPreserved)) {
      return Refuse(name, "the op changed");
    }
    NodeView whole;
    if (!ReadNode(original_.node(i), &whole)) {
      return Refuse(name, "the node is malformed");
    }
    std::vector<uint8_t> read(whole.data_inputs.size());
    NodeView joined;  // of all parts
    joined.name = name;
    std::vector<int32_t> parts = {j};
    for (size_t p = 0; p < parts.size(); ++p) {
      const int32_t part = parts[p];
      if (rewritten_.has(part, kOnlyOnce)) {
        return Refuse(rewritten_.name(part), "not a part that computes only");
      }
      NodeView node;
      if (!ReadNode(rewritten_.node(part), &node)) {
        return Refuse(name, "the node is malformed");
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
        const int32_t src = rewritten_.find(InputNode(input));
        if (src < 0 || origin_[src] >= 0 || !IsNamedPart(src, i) ||
            (part_of_[src] >= 0 && part_of_[src] != i)) {
          return Refuse(rewritten_.name(part), "reads another value");
        }
        if (part_of_[src] < 0) parts.push_back(src);
        part_of_[src] = i;
      }
    }
    if (std::find(read.begin(), read.end(), 0) != read.end()) {
      return Refuse(name, "taken apart, an input is read no more");
    }
    return CheckControlInputs(j, whole, joined);
  }

  Status CheckAdded(int32_t j) const {
    if (copy_of_[j] < 0 && part_of_[j] < 0) {
      return Refuse(rewritten_.name(j), "a new node that nothing needs");
    }
    return OkStatus();
  }

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
    for (int32_t j = 0; j < rewritten_.num_ops(); ++j) {
      const int32_t i = origin_[j];
      const std::string_view device = rewritten_.device(j);
      const bool moved = i < 0 || original_.device(i) != device;
      if (moved && devices.count(device) == 0) {
        return Refuse(rewritten_.name(j),
                      "device " + std::string(device) + " does not exist");
      }
      if (options_.has_kernel == nullptr || device.empty()) continue;
      if (!moved && original_.op(i) == rewritten_.op(j)) continue;
      if (!options_.has_kernel(rewritten_.op(j), DeviceType(device))) {
        return Refuse(rewritten_.name(j), "no kernel for " +
                                              std::string(rewritten_.op(j)) +
                                              " on " + std::string(device));
      }
    }
    return OkStatus();
  }

  // Those that shared a device share one still; a group that was apart before
  // stays as it was. New nodes stay with their group.
  Status CheckColocation() const {
    std::vector<int32_t> first(original_.num_colocation_groups(), -1);
    for (int32_t i = 0; i < original_.num_ops(); ++i) {
      const int32_t group = original_.colocation_group(i);
      if (group < 0) continue;
      if (first[group] < 0) first[group] = i;
      const int32_t f = first[group];
      const bool together = original_.device(i) == original_.device(f);
      const bool still = together ? DeviceNow(i) == DeviceNow(f)
                                  : DeviceNow(i) == original_.device(i) &&
                                        DeviceNow(f) == original_.device(f);
      if (!still) {
        return Refuse(original_.name(i), "no longer on the device of " +
                                             std::string(original_.name(f)) +
                                             ", its colocation group's");
      }
    }
    std::vector<int32_t> old_member(rewritten_.num_colocation_groups(), -1);
    for (int32_t j = 0; j < rewritten_.num_ops(); ++j) {
      const int32_t group = rewritten_.colocation_group(j);
      if (group >= 0 && origin_[j] >= 0) old_member[group] = j;
    }
    for (int32_t j = 0; j < rewritten_.num_ops(); ++j) {
      const int32_t group = rewritten_.colocation_group(j);
      if (group < 0 || origin_[j] >= 0 || old_member[group] < 0) continue;
      if (rewritten_.device(j) != rewritten_.device(old_member[group])) {
        return Refuse(rewritten_.name(j),
                      "not on its colocation group's device");
      }
    }
    return OkStatus();
  }

  std::string_view DeviceNow(int32_t i) const {
    return rewritten_.device(match_[i]);
  }

  const OpGraph& original_;
  const OpGraph& rewritten_;
  const VerifyOptions& options_;
  std::vector<int32_t> match_, origin_;
  std::vector<int32_t> copy_of_, part_of_;  // original ops, -1: none
  std::vector<int32_t> copies_;
  std::string_view harmless_;  // what was appended and accepted last
};

}  // namespace

Status VerifyRewrite(const OpGraph& original, std::string_view rewritten,
                     const VerifyOptions& options) {
  ParseOptions parse;
  parse.infer_shapes = false;
  parse.canonical_order = false;
  StatusOr<OpGraph> graph = OpGraph::Parse(rewritten, parse);
  if (!graph.ok()) {
    return InvalidArgument("the rewritten graph does not parse: " +
                           graph.status().message());
  }
  graph->ForgetEdges();  // from here on nodes are compared
  return Verifier(original, *graph, options).Run();
}

}  // namespace grappler_go
