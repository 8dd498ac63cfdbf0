// Names to positions, without a heap allocation a name.
//
//   NameIndex index(names.size());
//   if (!index.Insert(NameKey(names[i]), i, name_of)) Duplicate(names[i]);
//   int32_t found = index.Find(NameKey("x"), name_of);
//
// An open-addressing table of positions; the names stay where they are and are
// reached through name_of(position). Four bytes a slot: as many low bits as
// positions need, and above them those of the name's hash, which spare most
// looks at names that differ.
#ifndef GRAPPLER_GO_GRAPH_NAME_INDEX_H_
#define GRAPPLER_GO_GRAPH_NAME_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cc/graph/fingerprint.h"

namespace grappler_go {

// A name and its hash: hash it while its bytes are at hand.
struct NameKey {
  NameKey() = default;
  explicit NameKey(std::string_view text)
      : name(text), hash(static_cast<uint32_t>(HashBytes(text, 0))) {}
  std::string_view name;
  uint32_t hash = 0;
};

class NameIndex {
 public:
  NameIndex() : NameIndex(0) {}
  // Room for at most `capacity` names, at positions below it.
  explicit NameIndex(size_t capacity) {
    size_t slots = 4;
    while (slots * 3 < capacity * 4) slots *= 2;  // three quarters full
    slots_.assign(slots, kFree);
    // The highest position is left out: with all bits set it would be kFree.
    while (position_mask_ <= capacity) position_mask_ = 2 * position_mask_ + 1;
  }

  // A hint that Find(key) comes soon: it mostly waits for the table's memory.
  void Prefetch(const NameKey& key) const {
    __builtin_prefetch(&slots_[key.hash & (slots_.size() - 1)]);
  }

  // False when the name is there already.
  template <typename NameOf>
  bool Insert(const NameKey& key, int32_t position, NameOf name_of) {
    uint32_t& slot = slots_[SlotOf(key, name_of)];
    if (slot != kFree) return false;
    slot = (key.hash & ~position_mask_) | static_cast<uint32_t>(position);
    return true;
  }

  // -1 when there is none of that name.
  template <typename NameOf>
  int32_t Find(const NameKey& key, NameOf name_of) const {
    const uint32_t slot = slots_[SlotOf(key, name_of)];
    return slot == kFree ? -1 : PositionIn(slot);
  }

 private:
  static constexpr uint32_t kFree = 0xffffffff;
  int32_t PositionIn(uint32_t slot) const {
    return static_cast<int32_t>(slot & position_mask_);
  }

  // Where the name is, or the free slot where it would go.
  template <typename NameOf>
  size_t SlotOf(const NameKey& key, NameOf name_of) const {
    const size_t mask = slots_.size() - 1;
    size_t at = key.hash & mask;
    while (slots_[at] != kFree &&
           (((slots_[at] ^ key.hash) & ~position_mask_) != 0 ||
            name_of(PositionIn(slots_[at])) != key.name)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<uint32_t> slots_;
  uint32_t position_mask_ = 1;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_NAME_INDEX_H_
