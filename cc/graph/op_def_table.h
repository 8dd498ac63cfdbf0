// The rows of the op table, for op_def.cc and for the vocabulary of the schema.
#ifndef GRAPPLER_GO_GRAPH_OP_DEF_TABLE_H_
#define GRAPPLER_GO_GRAPH_OP_DEF_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cc/graph/op_def.h"
#include "cc/graph/span.h"

namespace grappler_go {

// Traits of a row, or-ed together. Their scope keeps them apart from OpFlag.
namespace op_trait {
enum : uint8_t {
  kStateful = 1 << 0,
  kRandom = 1 << 1,
  kReads = 1 << 2,
  kWrites = 1 << 3,
  kUpdates = kReads | kWrites,
  kXla = 1 << 4,
  kRef = 1 << 5,
  kRemapped = 1 << 6,
};
}  // namespace op_trait

struct OpRow {
  std::string_view name;
  int8_t num_outputs;
  uint8_t traits;
  std::string_view outputs_attr = {};
};

struct OpFamily {
  OpClass op_class;
  const OpRow* rows;
  size_t size;
};

Span<OpFamily> OpFamilies();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_OP_DEF_TABLE_H_
