// Edges between RawNodes, and the canonical order of nodes.
#include <algorithm>

#include "cc/graph/op_graph_builder.h"

namespace grappler_go {
namespace {

constexpr uint64_t kControlSeed = 0x452821e638d01377;
constexpr uint64_t kPortStep = 0x9e3779b97f4a7c15;
constexpr uint64_t kHighSeed = 0xbe5466cf34e90c6c;
constexpr uint64_t kLowSeed = 0xc0ac29b7c97c50dd;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "dense_9" before "dense_10": a retrace adds to such numbers, and the order of
// the names must not change with it.
bool NaturalLess(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (IsDigit(a[i]) && IsDigit(b[j])) {
      size_t i_end = i, j_end = j;
      while (i_end < a.size() && IsDigit(a[i_end])) ++i_end;
      while (j_end < b.size() && IsDigit(b[j_end])) ++j_end;
      while (i + 1 < i_end && a[i] == '0') ++i;
      while (j + 1 < j_end && b[j] == '0') ++j;
      if (i_end - i != j_end - j) return i_end - i < j_end - j;
      const int order = a.substr(i, i_end - i).compare(b.substr(j, j_end - j));
      if (order != 0) return order < 0;
      i = i_end;
      j = j_end;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
  return a < b;  // differ in leading zeros only
}

}  // namespace

Status OpGraphBuilder::Connect() {
  constexpr size_t kAhead = 16;
  const int32_t n = static_cast<int32_t>(raw_.size());
  const auto name_of = [this](int32_t i) { return raw_[i].name(); };
  NameIndex& index = graph_.by_name_;
  index = NameIndex(raw_.size());
  for (int32_t at = 0; at < n; ++at) {
    if (!index.Insert(raw_[at].key, at, name_of)) {
      return InvalidArgument("two nodes are named " +
                             std::string(raw_[at].name()));
    }
  }
  edges_.reserve(inputs_.size());
  edge_dst_.reserve(inputs_.size());
  for (int32_t at = 0; at < n; ++at) {
    for (int32_t k = raw_[at].num_data + raw_[at].num_control; k > 0; --k) {
      const size_t next = edges_.size() + kAhead;
      if (next < inputs_.size()) index.Prefetch(inputs_[next].producer);
      const RawInput& input = inputs_[edges_.size()];
      const int32_t src = index.Find(input.producer, name_of);
      if (src < 0) {
        return InvalidArgument("node " + std::string(raw_[at].name()) +
                               " has an input that does not exist: " +
                               (input.port == kControlPort ? "^" : "") +
                               std::string(input.producer.name));
      }
      edges_.push_back({src, input.port});
      edge_dst_.push_back(at);
    }
  }
  Free(&inputs_);

  user_ptr_.assign(n + 1, 0);
  for (const RawEdge& edge : edges_) ++user_ptr_[edge.src + 1];
  for (int32_t at = 0; at < n; ++at) user_ptr_[at + 1] += user_ptr_[at];
  users_.resize(edges_.size());
  std::vector<int32_t> next(user_ptr_.begin(), user_ptr_.end() - 1);
  for (size_t k = 0; k < edges_.size(); ++k) {
    users_[next[edges_[k].src]++] = static_cast<int32_t>(k);
  }
  return OkStatus();
}

bool OpGraphBuilder::IsBackEdge(int32_t src, int32_t dst) const {
  return type_info(src).next_iteration && type_info(dst).merge;
}

Status OpGraphBuilder::Order() {
  GO_RETURN_IF_ERROR(SortTopologically());
  HashNodes();
  NumberNodes();
  Free(&user_ptr_, &users_, &edge_dst_, &hash_);
  return OkStatus();
}

// Leaves order_ sorted by depth.
Status OpGraphBuilder::SortTopologically() {
  const size_t n = raw_.size();
  depth_.assign(n, 0);
  std::vector<int32_t> waiting(n);
  order_.reserve(n);
  for (size_t at = 0; at < n; ++at) {
    waiting[at] = raw_[at].num_data + raw_[at].num_control;
    if (type_info(at).merge) {
      for (int32_t k = 0; k < raw_[at].num_data; ++k) {
        if (IsBackEdge(edges_[raw_[at].first_input + k].src, at)) --waiting[at];
      }
    }
    if (waiting[at] == 0) order_.push_back(static_cast<int32_t>(at));
  }
  for (size_t head = 0; head < order_.size(); ++head) {
    const int32_t at = order_[head];
    for (int32_t u = user_ptr_[at]; u < user_ptr_[at + 1]; ++u) {
      const int32_t dst = edge_dst_[users_[u]];
      if (edges_[users_[u]].port != kControlPort && IsBackEdge(at, dst)) {
        continue;
      }
      depth_[dst] = std::max(depth_[dst], depth_[at] + 1);
      if (--waiting[dst] == 0) order_.push_back(dst);
    }
  }
  if (order_.size() == n) return OkStatus();
  for (size_t at = 0; at < n; ++at) {
    if (waiting[at] > 0) {
      return InvalidArgument("node " + std::string(raw_[at].name()) +
                             " is on or behind a cycle that is not a loop");
    }
  }
  return Internal("the topological order lost a node");
}

// hash_[at]: of all that at descends from, then of all that descends from it.
void OpGraphBuilder::HashNodes() {
  const size_t n = raw_.size();
  std::vector<uint64_t> ancestors(n);
  for (int32_t at : order_) {
    const RawNode& node = raw_[at];
    const RawEdge* edge = edges_.data() + node.first_input;
    uint64_t hash = HashMix(node.hash, static_cast<uint64_t>(node.num_data));
    for (int32_t k = 0; k < node.num_data; ++k, ++edge) {
      const uint64_t source = IsBackEdge(edge->src, at) ? raw_[edge->src].hash
                                                        : ancestors[edge->src];
      hash = HashMix(hash, source + kPortStep * (edge->port + 1));
    }
    uint64_t controls = 0;
    for (int32_t k = 0; k < node.num_control; ++k, ++edge) {
      controls += HashMix(ancestors[edge->src], kControlSeed);
    }
    ancestors[at] = controls == 0 ? hash : HashMix(hash, controls);
  }
  hash_.resize(n);
  for (size_t i = n; i-- > 0;) {
    const int32_t at = order_[i];
    uint64_t users = 0;
    for (int32_t u = user_ptr_[at]; u < user_ptr_[at + 1]; ++u) {
      const int32_t k = users_[u];
      const int32_t dst = edge_dst_[k];
      if (edges_[k].port == kControlPort) {
        users += HashMix(hash_[dst], kControlSeed);
        continue;
      }
      const int32_t slot = k - raw_[dst].first_input;
      users += HashMix(IsBackEdge(at, dst) ? ancestors[dst] : hash_[dst],
                       kPortStep * (edges_[k].port + 1) + slot);
    }
    hash_[at] = HashMix(ancestors[at], users);
  }
  Fingerprint& fingerprint = graph_.fingerprint_;
  for (uint64_t hash : hash_) {
    fingerprint.hi += HashMix(hash, kHighSeed);
    fingerprint.lo += HashMix(hash, kLowSeed);
  }
  fingerprint.hi = HashMix(fingerprint.hi, n);
  fingerprint.lo = HashMix(fingerprint.lo, edges_.size());
}

void OpGraphBuilder::NumberNodes() {
  const int32_t n = static_cast<int32_t>(raw_.size());
  // By depth first: the order made by Kahn's queue is not sorted by it.
  std::vector<int32_t> level_ptr;
  for (int32_t depth : depth_) {
    if (level_ptr.size() < static_cast<size_t>(depth) + 2) {
      level_ptr.resize(depth + 2);
    }
    ++level_ptr[depth + 1];
  }
  for (size_t d = 1; d < level_ptr.size(); ++d) {
    level_ptr[d] += level_ptr[d - 1];
  }
  struct Keyed {
    uint64_t hash;
    int32_t at;
  };
  std::vector<Keyed> keyed(n);
  std::vector<int32_t> next = level_ptr;
  for (int32_t at = 0; at < n; ++at) {
    keyed[next[depth_[at]]++] = {hash_[at], at};
  }

  number_.assign(n, 0);
  const auto producer = [this](int32_t at, int32_t k) {
    const int32_t src = edges_[raw_[at].first_input + k].src;
    return IsBackEdge(src, at) ? -1 : number_[src];
  };
  const auto less = [this, producer](const Keyed& a, const Keyed& b) {
    if (a.hash != b.hash) return a.hash < b.hash;
    // Producers are shallower and have their numbers already, so that symmetric
    // branches stay together whatever their ops are named.
    const RawNode& x = raw_[a.at];
    const RawNode& y = raw_[b.at];
    if (x.num_data != y.num_data) return x.num_data < y.num_data;
    for (int32_t k = 0; k < x.num_data; ++k) {
      const int32_t p = producer(a.at, k), q = producer(b.at, k);
      if (p != q) return p < q;
    }
    return NaturalLess(x.name(), y.name());
  };
  for (size_t d = 0; d + 1 < level_ptr.size(); ++d) {
    std::sort(keyed.begin() + level_ptr[d], keyed.begin() + level_ptr[d + 1],
              less);
    for (int32_t i = level_ptr[d]; i < level_ptr[d + 1]; ++i) {
      number_[keyed[i].at] = i;
    }
  }
  for (int32_t i = 0; i < n; ++i) order_[i] = keyed[i].at;
}

}  // namespace grappler_go
