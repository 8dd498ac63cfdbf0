#include "cc/policy/schema_adapter.h"

#include <algorithm>
#include <unordered_map>

namespace grappler_go {
namespace {

Status FindColumns(const std::vector<std::string>& wanted,
                   const std::vector<std::string>& ours, const char* what,
                   std::vector<int32_t>* columns) {
  for (const std::string& name : wanted) {
    const auto found = std::find(ours.begin(), ours.end(), name);
    if (found == ours.end()) {
      return FailedPrecondition(std::string("the policy wants the ") + what +
                                " '" + name + "', which this build lacks");
    }
    columns->push_back(static_cast<int32_t>(found - ours.begin()));
  }
  return OkStatus();
}

// Of rows of `*width` values, those columns; *width becomes their number.
std::vector<float> Select(const std::vector<float>& rows,
                          const std::vector<int32_t>& columns, size_t* width) {
  std::vector<float> selected;
  selected.reserve(rows.size() / *width * columns.size());
  for (size_t row = 0; row < rows.size(); row += *width) {
    for (const int32_t column : columns) {
      selected.push_back(rows[row + column]);
    }
  }
  *width = columns.size();
  return selected;
}

}  // namespace

StatusOr<SchemaAdapter> SchemaAdapter::Create(
    const std::vector<std::string>& op_features,
    const std::vector<std::string>& device_features,
    const std::vector<std::string>& link_features,
    const std::vector<std::string>& vocabulary) {
  SchemaAdapter adapter;
  GO_RETURN_IF_ERROR(FindColumns(op_features, OpFeatureNames(), "op feature",
                                 &adapter.op_columns_));
  GO_RETURN_IF_ERROR(FindColumns(device_features, DeviceFeatureNames(),
                                 "device feature", &adapter.device_columns_));
  GO_RETURN_IF_ERROR(FindColumns(link_features, LinkFeatureNames(),
                                 "link feature", &adapter.link_columns_));
  std::unordered_map<std::string, int32_t> numbers;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    numbers.emplace(vocabulary[i], static_cast<int32_t>(i));
  }
  for (const std::string& op : OpVocabulary()) {
    const auto found = numbers.find(op);
    adapter.op_types_.push_back(found == numbers.end() ? 0 : found->second);
  }
  adapter.identity_ = op_features == OpFeatureNames() &&
                      device_features == DeviceFeatureNames() &&
                      link_features == LinkFeatureNames() &&
                      vocabulary == OpVocabulary();
  return adapter;
}

Features SchemaAdapter::Adapt(const Features& features) const {
  Features adapted = features;
  for (int32_t& type : adapted.op_type) type = op_types_[type];
  adapted.op_features =
      Select(features.op_features, op_columns_, &adapted.num_op_columns);
  adapted.device_features = Select(features.device_features, device_columns_,
                                   &adapted.num_device_columns);
  adapted.link_features =
      Select(features.link_features, link_columns_, &adapted.num_link_columns);
  return adapted;
}

}  // namespace grappler_go
