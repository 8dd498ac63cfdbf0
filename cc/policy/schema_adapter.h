// Gives a model the columns and the op numbers that it was made with.
//
// A model of an older minor version knows fewer columns and fewer op types than
// this build. It gets its own columns, in its own order, and op numbers of its
// own vocabulary, where 0 is "any other op".
#ifndef GRAPPLER_GO_POLICY_SCHEMA_ADAPTER_H_
#define GRAPPLER_GO_POLICY_SCHEMA_ADAPTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cc/base/status.h"
#include "cc/schema/features.h"

namespace grappler_go {

class SchemaAdapter {
 public:
  // Error kFailedPrecondition: the model wants a column that this build does
  // not have.
  static StatusOr<SchemaAdapter> Create(
      const std::vector<std::string>& op_features,
      const std::vector<std::string>& device_features,
      const std::vector<std::string>& link_features,
      const std::vector<std::string>& vocabulary);

  // True when the model's schema is exactly this build's and nothing needs to
  // be copied.
  bool identity() const { return identity_; }
  Features Adapt(const Features& features) const;

 private:
  bool identity_ = true;
  // The model's -> ours.
  std::vector<int32_t> op_columns_, device_columns_, link_columns_;
  std::vector<int32_t> op_types_;  // ours -> the model's
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_SCHEMA_ADAPTER_H_
