#include "cc/cost/calibration_json.h"

#include <utility>

#include "cc/cost/json_reader.h"

namespace grappler_go {
namespace {

constexpr auto kNumClasses = static_cast<int>(OpClass::kNumClasses);

Status ReadTerms(const Json& json, const std::string& where, CostTerms* terms) {
  if (json.is_array() && json.size() == terms->size()) {
    bool numbers = true;
    for (size_t i = 0; i < terms->size(); ++i) {
      numbers = numbers && json[i].is_number();
      if (numbers) (*terms)[i] = json[i].get<double>();
    }
    if (numbers) return OkStatus();
  }
  return InvalidArgument(where + " must be a list of " +
                         std::to_string(terms->size()) + " numbers.");
}

Status ReadCost(const Json& json, const std::string& where, TimedCost* cost) {
  ObjectReader reader(json, where);
  reader.CheckFields({"executor", "group"});
  const Json* executor = reader.ReadArray("executor", true);
  const Json* group = reader.ReadArray("group", true);
  GO_RETURN_IF_ERROR(reader.status());
  GO_RETURN_IF_ERROR(
      ReadTerms(*executor, where + ".executor", &cost->executor));
  return ReadTerms(*group, where + ".group", &cost->group);
}

Status ReadCosts(const Json& json, const std::string& where,
                 std::map<std::string, TimedCost, std::less<>>* costs) {
  if (!json.is_object()) {
    return InvalidArgument(where + " must be a JSON object.");
  }
  for (const auto& [key, value] : json.items()) {
    GO_RETURN_IF_ERROR(ReadCost(value, where + "." + key, &(*costs)[key]));
  }
  return OkStatus();
}

Status ReadClasses(const Json& json, const std::string& where,
                   std::map<OpClass, TimedCost>* classes) {
  std::map<std::string, TimedCost, std::less<>> by_name;
  GO_RETURN_IF_ERROR(ReadCosts(json, where, &by_name));
  for (int k = 0; k < kNumClasses; ++k) {
    const auto op_class = static_cast<OpClass>(k);
    const auto found = by_name.find(OpClassName(op_class));
    if (found == by_name.end()) continue;
    (*classes)[op_class] = found->second;
    by_name.erase(found);
  }
  if (by_name.empty()) return OkStatus();
  return InvalidArgument(where + " has an unknown class of ops " +
                         Quoted(by_name.begin()->first) + ".");
}

Json CostJson(const TimedCost& cost) {
  Json json;
  json["executor"] = cost.executor;
  json["group"] = cost.group;
  return json;
}

}  // namespace

StatusOr<Calibration> CalibrationFromJson(const Json& json,
                                          const std::string& where) {
  ObjectReader reader(json, where);
  reader.CheckFields({"cpu", "cores", "tensorflow", "new_us_per_mb",
                      "cold_read_us_per_mb", "group_launch_us",
                      "group_tensor_us", "group_output_us_per_mb", "ops",
                      "classes"});
  Calibration result;
  reader.Read("cpu", &result.cpu);
  reader.Read("cores", &result.cores);
  reader.Read("tensorflow", &result.tensorflow);
  reader.Read("new_us_per_mb", &result.new_us_per_mb);
  reader.Read("cold_read_us_per_mb", &result.cold_read_us_per_mb);
  reader.Read("group_launch_us", &result.group_launch_us);
  reader.Read("group_tensor_us", &result.group_tensor_us);
  reader.Read("group_output_us_per_mb", &result.group_output_us_per_mb);
  GO_RETURN_IF_ERROR(reader.status());
  for (const char* field : {"ops", "classes"}) {
    if (json.contains(field)) continue;
    return InvalidArgument(where + "." + field + " is missing.");
  }
  GO_RETURN_IF_ERROR(ReadCosts(json["ops"], where + ".ops", &result.ops));
  GO_RETURN_IF_ERROR(
      ReadClasses(json["classes"], where + ".classes", &result.classes));
  GO_RETURN_IF_ERROR(result.Validate(where));
  return result;
}

Json CalibrationToJson(const Calibration& calibration) {
  Json json;
  json["cpu"] = calibration.cpu;
  json["cores"] = calibration.cores;
  json["tensorflow"] = calibration.tensorflow;
  json["new_us_per_mb"] = calibration.new_us_per_mb;
  json["cold_read_us_per_mb"] = calibration.cold_read_us_per_mb;
  json["group_launch_us"] = calibration.group_launch_us;
  json["group_tensor_us"] = calibration.group_tensor_us;
  json["group_output_us_per_mb"] = calibration.group_output_us_per_mb;
  json["ops"] = Json::object();
  json["classes"] = Json::object();
  for (const auto& [op, cost] : calibration.ops) {
    json["ops"][op] = CostJson(cost);
  }
  for (const auto& [op_class, cost] : calibration.classes) {
    json["classes"][OpClassName(op_class)] = CostJson(cost);
  }
  return json;
}

}  // namespace grappler_go
