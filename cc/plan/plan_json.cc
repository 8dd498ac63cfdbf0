// Plans as JSON. A person may have edited the file, so every error says where
// it is and what was expected there.
#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>

#include "cc/base/json.h"
#include "cc/plan/plan.h"

namespace grappler_go {
namespace {

constexpr char kFormat[] = "grappler-go-plan";
// What OpGraph::Parse takes at most: a file cannot ask for more memory.
constexpr int64_t kMaxOps = 4'000'000;

// A field of the file: its place, for messages, and its value if it is there.
struct Field {
  std::string where;
  const Json* value = nullptr;
};

Field Get(const Json& object, const std::string& prefix, const char* name) {
  const auto at = object.find(name);
  return {prefix + "\"" + name + "\"", at == object.end() ? nullptr : &*at};
}

Status Expected(const Field& field, const std::string& what) {
  std::string got = "nothing";
  if (field.value != nullptr) {
    got = JsonText(*field.value);
    if (got.size() > 60) got = got.substr(0, 57) + "...";
  }
  return InvalidArgument("plan: " + field.where + " should be " + what +
                         ", got " + got);
}

Status ReadString(const Field& field, const char* what, std::string* out) {
  if (field.value == nullptr || !field.value->is_string()) {
    return Expected(field, what);
  }
  *out = field.value->get<std::string>();
  return OkStatus();
}

// Absent fields leave *out alone.
Status ReadInt(const Field& field, int64_t low, int64_t high, int64_t* out) {
  if (field.value == nullptr) return OkStatus();
  const std::string what = "a whole number from " + std::to_string(low) +
                           " to " + std::to_string(high);
  if (!field.value->is_number_integer()) return Expected(field, what);
  if (field.value->is_number_unsigned() &&
      field.value->get<uint64_t>() > static_cast<uint64_t>(high)) {
    return Expected(field, what);
  }
  const auto value = field.value->get<int64_t>();
  if (value < low || value > high) return Expected(field, what);
  *out = value;
  return OkStatus();
}

// Both bounds are within 32 bits.
Status ReadInt(const Field& field, int64_t low, int64_t high, int32_t* out) {
  int64_t wide = *out;
  GO_RETURN_IF_ERROR(ReadInt(field, low, high, &wide));
  *out = static_cast<int32_t>(wide);
  return OkStatus();
}

Status ReadMicros(const Field& field, double* out) {
  if (field.value == nullptr) return OkStatus();
  if (!field.value->is_number() || !std::isfinite(field.value->get<double>()) ||
      field.value->get<double>() < 0) {
    return Expected(field, "a number of microseconds, 0 or more");
  }
  *out = field.value->get<double>();
  return OkStatus();
}

Status ReadHeader(const Json& file, Plan* plan) {
  if (!file.is_object()) {
    return InvalidArgument("plan: the file should be a JSON object");
  }
  std::string text;
  const Field format = Get(file, "", "format");
  GO_RETURN_IF_ERROR(ReadString(format, "\"grappler-go-plan\"", &text));
  if (text != kFormat) return Expected(format, "\"grappler-go-plan\"");
  const Field version = Get(file, "", "version");
  GO_RETURN_IF_ERROR(ReadString(version, "like \"1.0\"", &text));
  const size_t dot = text.find('.');
  if (dot == 0 || dot == std::string::npos || dot + 1 == text.size() ||
      text.find_first_not_of("0123456789.") != std::string::npos) {
    return Expected(version, "like \"1.0\"");
  }
  if (text.substr(0, dot) != std::to_string(kPlanFormatMajor)) {
    return FailedPrecondition("plan: version " + text +
                              " is not one this build reads; it reads " +
                              std::to_string(kPlanFormatMajor) + ".x");
  }
  const Field fingerprint = Get(file, "", "fingerprint");
  GO_RETURN_IF_ERROR(ReadString(fingerprint, "32 hexadecimal digits", &text));
  StatusOr<Fingerprint> parsed = Fingerprint::FromString(text);
  if (!parsed.ok()) return Expected(fingerprint, "32 hexadecimal digits");
  plan->fingerprint = *parsed;
  const Field num_ops = Get(file, "", "num_ops");
  if (num_ops.value == nullptr) return Expected(num_ops, "a number of ops");
  GO_RETURN_IF_ERROR(ReadInt(num_ops, 0, kMaxOps, &plan->num_ops));
  for (const auto& [name, out] : {std::pair{"machine", &plan->machine},
                                  std::pair{"policy", &plan->policy}}) {
    const Field field = Get(file, "", name);
    if (field.value == nullptr) continue;
    GO_RETURN_IF_ERROR(ReadString(field, "a name in quotes", out));
  }
  return OkStatus();
}

Status ReadYesOrNo(const Json& file, const char* name, bool* value) {
  const Field field = Get(file, "", name);
  if (field.value == nullptr) return OkStatus();
  if (!field.value->is_boolean()) return Expected(field, "true or false");
  *value = field.value->get<bool>();
  return OkStatus();
}

Status ReadTurnBytes(const Json& file, Plan* plan) {
  bool in_turn = false;  // of version 1.2
  GO_RETURN_IF_ERROR(ReadYesOrNo(file, "in_turn", &in_turn));
  plan->turn_bytes = in_turn ? 1 : 0;
  const Field bytes = Get(file, "", "turn_bytes");
  if (bytes.value == nullptr) return OkStatus();
  return ReadInt(bytes, 0, std::numeric_limits<int64_t>::max(),
                 &plan->turn_bytes);
}

Status ReadPredicted(const Json& file, Plan* plan) {
  const Field predicted = Get(file, "", "predicted");
  if (predicted.value == nullptr) return OkStatus();
  const Json& object = *predicted.value;
  if (!object.is_object()) return Expected(predicted, "an object");
  const std::string in = "predicted: ";
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  GO_RETURN_IF_ERROR(
      ReadMicros(Get(object, in, "micros_before"), &plan->micros_before));
  GO_RETURN_IF_ERROR(
      ReadMicros(Get(object, in, "micros_after"), &plan->micros_after));
  GO_RETURN_IF_ERROR(ReadInt(Get(object, in, "peak_bytes_before"), 0, kMax,
                             &plan->peak_bytes_before));
  return ReadInt(Get(object, in, "peak_bytes_after"), 0, kMax,
                 &plan->peak_bytes_after);
}

// "decided" lists what was decided, even where the answer was to change
// nothing. Without it, what the ops say is what was decided.
Status ReadDecided(const Json& file, Plan* plan) {
  const Field decided = Get(file, "", "decided");
  if (decided.value == nullptr) return OkStatus();
  const char* what =
      "a list of \"device\", \"fusion\", \"recompute\" and \"priority\"";
  if (!decided.value->is_array()) return Expected(decided, what);
  for (const Json& item : *decided.value) {
    if (!item.is_string()) return Expected(decided, what);
    const auto name = item.get<std::string>();
    if (name == "device") {
      plan->device.assign(plan->num_ops, -1);
    } else if (name == "fusion") {
      plan->fusion_group.assign(plan->num_ops, -1);
    } else if (name == "recompute") {
      plan->recompute.assign(plan->num_ops, 0);
    } else if (name == "priority") {
      plan->priority.assign(plan->num_ops, 0.0f);
    } else {
      return Expected(decided, what);
    }
  }
  return OkStatus();
}

Status ReadDeviceNames(const Json& file, Plan* plan) {
  const Field devices = Get(file, "", "devices");
  if (devices.value == nullptr) return OkStatus();
  if (!devices.value->is_array()) {
    return Expected(devices, "a list of device names");
  }
  for (const Json& name : *devices.value) {
    if (!name.is_string()) return Expected(devices, "a list of device names");
    plan->devices.push_back(name.get<std::string>());
  }
  return OkStatus();
}

Status ReadOp(const Json& entry, size_t at, std::vector<bool>* seen,
              Plan* plan) {
  const std::string place = "ops[" + std::to_string(at) + "]";
  if (!entry.is_object()) {
    return Expected({place, &entry}, "an object like {\"op\": 17, ...}");
  }
  const Field number = Get(entry, place + ": ", "op");
  if (number.value == nullptr) return Expected(number, "an op number");
  int32_t op = 0;
  GO_RETURN_IF_ERROR(ReadInt(number, 0, plan->num_ops - 1, &op));
  if ((*seen)[op]) {
    return InvalidArgument("plan: " + place + ": op " + std::to_string(op) +
                           " is listed twice");
  }
  (*seen)[op] = true;

  std::string in = "op " + std::to_string(op);
  const Field name = Get(entry, in + ": ", "name");
  if (name.value != nullptr && name.value->is_string()) {
    in += " (" + name.value->get<std::string>() + ")";
  }
  in += ": ";
  const Field device = Get(entry, in, "device");
  if (device.value != nullptr) {
    std::string spelled;
    GO_RETURN_IF_ERROR(ReadString(device, "a device name", &spelled));
    const auto found =
        std::find(plan->devices.begin(), plan->devices.end(), spelled);
    if (found == plan->devices.end()) {
      return Expected(device, "one of the names in \"devices\"");
    }
    if (plan->device.empty()) plan->device.assign(plan->num_ops, -1);
    plan->device[op] = static_cast<int32_t>(found - plan->devices.begin());
  }
  const Field group = Get(entry, in, "group");
  if (group.value != nullptr) {
    if (plan->fusion_group.empty())
      plan->fusion_group.assign(plan->num_ops, -1);
    GO_RETURN_IF_ERROR(
        ReadInt(group, 0, plan->num_ops - 1, &plan->fusion_group[op]));
  }
  const Field priority = Get(entry, in, "priority");
  if (priority.value != nullptr) {
    if (!priority.value->is_number()) return Expected(priority, "a number");
    if (plan->priority.empty()) plan->priority.assign(plan->num_ops, 0.0f);
    plan->priority[op] = static_cast<float>(priority.value->get<double>());
  }
  const Field recompute = Get(entry, in, "recompute");
  if (recompute.value != nullptr) {
    if (!recompute.value->is_boolean()) {
      return Expected(recompute, "true or false");
    }
    if (plan->recompute.empty()) plan->recompute.assign(plan->num_ops, 0);
    plan->recompute[op] = recompute.value->get<bool>() ? 1 : 0;
  }
  return OkStatus();
}

Status ReadOps(const Json& file, Plan* plan) {
  const Field ops = Get(file, "", "ops");
  if (ops.value == nullptr) return OkStatus();
  if (!ops.value->is_array()) return Expected(ops, "a list of ops");
  std::vector<bool> seen(plan->num_ops, false);
  size_t at = 0;
  for (const Json& entry : *ops.value) {
    GO_RETURN_IF_ERROR(ReadOp(entry, at++, &seen, plan));
  }
  return OkStatus();
}

Status ReadOrder(const Json& file, Plan* plan) {
  const Field order = Get(file, "", "order");
  if (order.value == nullptr) return OkStatus();
  const char* what = "a list of pairs of op numbers, [[before, after], ...]";
  if (!order.value->is_array()) return Expected(order, what);
  size_t at = 0;
  for (const Json& pair : *order.value) {
    const Field field{"order[" + std::to_string(at++) + "]", &pair};
    if (!pair.is_array() || pair.size() != 2) {
      return Expected(field, "a pair of op numbers");
    }
    std::pair<int32_t, int32_t> edge;
    GO_RETURN_IF_ERROR(
        ReadInt({field.where, &pair[0]}, 0, plan->num_ops - 1, &edge.first));
    GO_RETURN_IF_ERROR(
        ReadInt({field.where, &pair[1]}, 0, plan->num_ops - 1, &edge.second));
    plan->order.push_back(edge);
  }
  return OkStatus();
}

// Groups are 0..k-1; a person who deletes one leaves a gap.
void CloseGaps(std::vector<int32_t>* groups) {
  int32_t count = 0;
  for (int32_t g : *groups) count = std::max(count, g + 1);
  std::vector<int32_t> number(count, -1);
  for (int32_t g : *groups) {
    if (g >= 0) number[g] = 0;
  }
  int32_t next = 0;
  for (int32_t& g : number) {
    if (g == 0) g = next++;
  }
  for (int32_t& g : *groups) {
    if (g >= 0) g = number[g];
  }
}

// One op, edge or field a line: a plan is meant to be read and compared.
std::string Lines(const std::vector<std::string>& items) {
  std::string text = "[";
  for (size_t i = 0; i < items.size(); ++i) {
    text += (i == 0 ? "\n    " : ",\n    ") + items[i];
  }
  return text + (items.empty() ? "]" : "\n  ]");
}

std::vector<std::string> OpLines(const Plan& plan, const OpGraph* graph) {
  std::vector<std::string> lines;
  for (int32_t i = 0; i < plan.num_ops; ++i) {
    const bool moved = !plan.device.empty() && plan.device[i] >= 0;
    const bool grouped =
        !plan.fusion_group.empty() && plan.fusion_group[i] >= 0;
    const bool recomputed = !plan.recompute.empty() && plan.recompute[i] != 0;
    const bool ranked = !plan.priority.empty() && plan.priority[i] != 0;
    if (!moved && !grouped && !recomputed && !ranked) continue;
    Json op;
    op["op"] = i;
    if (graph != nullptr && i < graph->num_ops()) {
      op["name"] = std::string(graph->name(i));
      op["type"] = std::string(graph->op(i));
    }
    if (moved) op["device"] = plan.devices[plan.device[i]];
    if (grouped) op["group"] = plan.fusion_group[i];
    if (recomputed) op["recompute"] = true;
    if (ranked) op["priority"] = plan.priority[i];
    lines.push_back(JsonText(op));
  }
  return lines;
}

}  // namespace

std::string PlanToJson(const Plan& plan, const OpGraph* graph) {
  Json decided = Json::array();
  if (!plan.device.empty()) decided.push_back("device");
  if (!plan.fusion_group.empty()) decided.push_back("fusion");
  if (!plan.recompute.empty()) decided.push_back("recompute");
  if (!plan.priority.empty()) decided.push_back("priority");
  Json predicted;
  predicted["micros_before"] = plan.micros_before;
  predicted["micros_after"] = plan.micros_after;
  predicted["peak_bytes_before"] = plan.peak_bytes_before;
  predicted["peak_bytes_after"] = plan.peak_bytes_after;
  std::vector<std::string> order;
  for (const auto& [before, after] : plan.order) {
    order.push_back("[" + std::to_string(before) + "," + std::to_string(after) +
                    "]");
  }
  std::vector<std::pair<const char*, std::string>> fields = {
      {"format", JsonText(kFormat)},
      {"version", JsonText(std::to_string(kPlanFormatMajor) + "." +
                           std::to_string(kPlanFormatMinor))},
      {"fingerprint", JsonText(plan.fingerprint.ToString())},
      {"num_ops", std::to_string(plan.num_ops)},
      {"machine", JsonText(plan.machine)},
      {"policy", JsonText(plan.policy)},
      {"predicted", JsonText(predicted)},
      {"decided", JsonText(decided)},
      {"devices", JsonText(plan.devices)},
      {"ops", Lines(OpLines(plan, graph))},
      {"order", Lines(order)},
  };
  // Said only of the few plans that no program may have.
  if (plan.turn_bytes > 0) {
    fields.push_back({"turn_bytes", std::to_string(plan.turn_bytes)});
  }
  if (plan.free_state) {
    fields.insert(fields.begin() + 6, {"free_state", "true"});
  }
  std::string text = "{";
  for (const auto& [name, value] : fields) {
    text += text.size() == 1 ? "\n  \"" : ",\n  \"";
    text += std::string(name) + "\": " + value;
  }
  return text + "\n}\n";
}

StatusOr<Plan> PlanFromJson(std::string_view json) {
  try {
    const Json file = ParseJson(json);
    Plan plan;
    GO_RETURN_IF_ERROR(ReadHeader(file, &plan));
    GO_RETURN_IF_ERROR(ReadYesOrNo(file, "free_state", &plan.free_state));
    GO_RETURN_IF_ERROR(ReadTurnBytes(file, &plan));
    GO_RETURN_IF_ERROR(ReadPredicted(file, &plan));
    GO_RETURN_IF_ERROR(ReadDecided(file, &plan));
    GO_RETURN_IF_ERROR(ReadDeviceNames(file, &plan));
    GO_RETURN_IF_ERROR(ReadOps(file, &plan));
    GO_RETURN_IF_ERROR(ReadOrder(file, &plan));
    CloseGaps(&plan.fusion_group);
    return plan;
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("plan: not JSON: ") + e.what());
  }
}

}  // namespace grappler_go
