// Edges between RawNodes, and the canonical order of nodes.
#include <algorithm>
#include <array>
#include <unordered_map>

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

// The node that an input names: "producer", "producer:port" or "^producer".
std::string_view ProducerOf(std::string_view input, int32_t port) {
  return port == kControlPort ? input.substr(1)
                              : input.substr(0, input.rfind(':'));
}

}  // namespace

Status OpGraphBuilder::Connect() {
  const auto n = static_cast<int32_t>(raw_.size());
  const auto name_of = [this](int32_t at) { return NameOf(raw_[at]); };
  NameIndex& index = graph_.by_name_;
  index = NameIndex(raw_.size());
  for (int32_t at = 0; at < n; ++at) {
    const NameKey key(name_of(at));
    if (!index.Insert(key, at, name_of)) {
      return InvalidArgument("two nodes are named " + std::string(key.name));
    }
  }
  // A look-up mostly waits for the table's memory, so the keys are made and
  // announced some edges ahead.
  constexpr size_t kAhead = 16;
  std::array<NameKey, kAhead> keys;
  const auto announce = [&](size_t k) {
    if (k >= edges_.size()) return;
    const RawEdge& edge = edges_[k];
    keys[k % kAhead] = NameKey(ProducerOf(graph_.Text(edge.src), edge.port));
    index.Prefetch(keys[k % kAhead]);
  };
  for (size_t k = 0; k < kAhead; ++k) announce(k);
  for (int32_t at = 0; at < n; ++at) {
    const auto begin = static_cast<size_t>(raw_[at].first_input);
    const size_t end = begin + raw_[at].num_data + raw_[at].num_control;
    for (size_t k = begin; k < end; ++k) {
      const NameKey key = keys[k % kAhead];
      announce(k + kAhead);
      const int32_t src = index.Find(key, name_of);
      if (src < 0) {
        return InvalidArgument("node " + std::string(name_of(at)) +
                               " has an input that does not exist: " +
                               (edges_[k].port == kControlPort ? "^" : "") +
                               std::string(key.name));
      }
      edges_[k].src = static_cast<uint32_t>(src);
    }
  }
  return OkStatus();
}

bool OpGraphBuilder::IsBackEdge(uint32_t src, int32_t dst) const {
  return type_info(src).next_iteration && type_info(dst).merge;
}

Status OpGraphBuilder::Order() {
  GO_RETURN_IF_ERROR(FindDepths());
  SortByDepth();
  HashNodes();
  SortLevels();
  number_.resize(raw_.size());
  for (size_t i = 0; i < raw_.size(); ++i) {
    number_[order_[i]] = static_cast<int32_t>(i);
  }
  Free(&hash_, &level_ptr_);
  return OkStatus();
}

// Depth first, along the inputs: that needs no list of consumers.
Status OpGraphBuilder::FindDepths() {
  constexpr int32_t kNotSeen = -2, kOnPath = -1;
  struct Visit {
    int32_t at;
    int32_t next;  // index into edges_: the input to look at next
  };
  const auto n = static_cast<int32_t>(raw_.size());
  depth_.assign(n, kNotSeen);
  Scratch<Visit> path;
  for (int32_t start = 0; start < n; ++start) {
    if (depth_[start] != kNotSeen) continue;
    depth_[start] = kOnPath;
    path.push_back({start, raw_[start].first_input});
    while (!path.empty()) {
      const int32_t at = path.back().at;
      const RawNode& node = raw_[at];
      const int32_t end = node.first_input + node.num_data + node.num_control;
      const bool merge = type_info(at).merge;
      int32_t& next = path.back().next;
      int32_t deeper = -1;
      for (; next < end && deeper < 0; ++next) {
        const auto src = static_cast<int32_t>(edges_[next].src);
        if (merge && edges_[next].port != kControlPort && IsBackEdge(src, at)) {
          continue;
        }
        if (depth_[src] == kOnPath) {
          return InvalidArgument("node " + std::string(NameOf(raw_[src])) +
                                 " is on a cycle that is not a loop");
        }
        if (depth_[src] == kNotSeen) deeper = src;
      }
      if (deeper >= 0) {
        depth_[deeper] = kOnPath;
        path.push_back({deeper, raw_[deeper].first_input});
        continue;
      }
      int32_t depth = 0;
      for (int32_t k = node.first_input; k < end; ++k) {
        const RawEdge& edge = edges_[k];
        if (merge && edge.port != kControlPort && IsBackEdge(edge.src, at)) {
          continue;
        }
        depth = std::max(depth, depth_[edge.src] + 1);
      }
      depth_[at] = depth;
      path.pop_back();
    }
  }
  return OkStatus();
}

// A topological order: producers are shallower, back edges aside.
void OpGraphBuilder::SortByDepth() {
  level_ptr_.assign(1, 0);
  for (int32_t depth : depth_) {
    if (level_ptr_.size() < static_cast<size_t>(depth) + 2) {
      level_ptr_.resize(depth + 2);
    }
    ++level_ptr_[depth + 1];
  }
  for (size_t d = 1; d < level_ptr_.size(); ++d) {
    level_ptr_[d] += level_ptr_[d - 1];
  }
  Scratch<int32_t> next = level_ptr_;
  order_.resize(raw_.size());
  for (size_t at = 0; at < raw_.size(); ++at) {
    order_[next[depth_[at]]++] = static_cast<int32_t>(at);
  }
}

void OpGraphBuilder::HashNodes() {
  const size_t n = raw_.size();
  // A loop's Merge takes its NextIteration's own hash, not that of all it
  // descends from, which depends on the Merge.
  std::vector<std::pair<int32_t, int32_t>> back_edges;  // index, consumer
  std::unordered_map<uint32_t, uint64_t> own;
  for (size_t at = 0; at < n; ++at) {
    if (!type_info(at).merge) continue;
    const RawNode& node = raw_[at];
    for (int32_t k = 0; k < node.num_data; ++k) {
      const uint32_t src = edges_[node.first_input + k].src;
      if (!IsBackEdge(src, at)) continue;
      back_edges.emplace_back(node.first_input + k, at);
      own[src] = hash_[src];
    }
  }

  for (int32_t at : order_) {
    const RawNode& node = raw_[at];
    const bool merge = type_info(at).merge;
    const RawEdge* edge = edges_.data() + node.first_input;
    uint64_t hash = HashMix(hash_[at], static_cast<uint64_t>(node.num_data));
    for (int32_t k = 0; k < node.num_data; ++k, ++edge) {
      const uint64_t source = merge && IsBackEdge(edge->src, at)
                                  ? own[edge->src]
                                  : hash_[edge->src];
      hash = HashMix(hash, source + kPortStep * (edge->port + 1));
    }
    uint64_t controls = 0;
    for (int32_t k = 0; k < node.num_control; ++k, ++edge) {
      controls += HashMix(hash_[edge->src], kControlSeed);
    }
    hash_[at] = controls == 0 ? hash : HashMix(hash, controls);
  }

  // Each op tells its producers of itself, once all its consumers told it.
  Scratch<uint64_t> users(n);
  const auto tell = [&](int32_t k, int32_t dst) {
    const int32_t slot = k - raw_[dst].first_input;
    users[edges_[k].src] +=
        HashMix(hash_[dst], edges_[k].port == kControlPort
                                ? kControlSeed
                                : kPortStep * (edges_[k].port + 1) + slot);
  };
  for (const auto& [k, dst] : back_edges) tell(k, dst);
  for (size_t i = n; i-- > 0;) {
    const int32_t at = order_[i];
    const RawNode& node = raw_[at];
    hash_[at] = HashMix(hash_[at], users[at]);
    const int32_t end = node.first_input + node.num_data + node.num_control;
    for (int32_t k = node.first_input; k < end; ++k) {
      if (edges_[k].port != kControlPort && IsBackEdge(edges_[k].src, at)) {
        continue;
      }
      tell(k, at);
    }
  }
  Fingerprint& fingerprint = graph_.fingerprint_;
  for (uint64_t hash : hash_) {
    fingerprint.hi += HashMix(hash, kHighSeed);
    fingerprint.lo += HashMix(hash, kLowSeed);
  }
  fingerprint.hi = HashMix(fingerprint.hi, n);
  fingerprint.lo = HashMix(fingerprint.lo, edges_.size());
}

// Sorts each level of order_.
void OpGraphBuilder::SortLevels() {
  struct Keyed {
    uint64_t hash;
    int32_t at;
  };
  const auto producer = [this](int32_t at, int32_t k) {
    const uint32_t src = edges_[raw_[at].first_input + k].src;
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
    return NaturalLess(NameOf(x), NameOf(y));
  };
  number_.assign(raw_.size(), 0);
  std::vector<Keyed> level;
  for (size_t d = 0; d + 1 < level_ptr_.size(); ++d) {
    level.clear();
    for (int32_t i = level_ptr_[d]; i < level_ptr_[d + 1]; ++i) {
      level.push_back({hash_[order_[i]], order_[i]});
    }
    std::sort(level.begin(), level.end(), less);
    int32_t i = level_ptr_[d];
    for (const Keyed& keyed : level) {
      number_[keyed.at] = i;
      order_[i++] = keyed.at;
    }
  }
}

}  // namespace grappler_go
