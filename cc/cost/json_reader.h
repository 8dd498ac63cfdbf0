// Reads JSON objects field by field, for machine_json.cc and its parts.
#ifndef GRAPPLER_GO_COST_JSON_READER_H_
#define GRAPPLER_GO_COST_JSON_READER_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "cc/base/status.h"
#include "nlohmann/json.hpp"

namespace grappler_go {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

inline std::string Quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

// Reads the fields of one JSON object and remembers the first thing wrong.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Fail(where_ + " must be a JSON object.");
  }

  void CheckFields(std::initializer_list<std::string_view> allowed) {
    if (!status_.ok()) return;
    for (const auto& [key, unused] : object_.items()) {
      bool found = false;
      for (const std::string_view name : allowed) found |= name == key;
      if (found) continue;
      std::string names;
      for (const std::string_view name : allowed) {
        names += (names.empty() ? "" : ", ") + std::string(name);
      }
      Fail(where_ + " has an unknown field " + Quoted(key) +
           "; allowed: " + names + ".");
      return;
    }
  }

  void Read(const char* key, std::string* out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_string()) return Fail(Field(key) + " must be a string.");
    *out = value->get<std::string>();
  }

  void Read(const char* key, double* out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_number()) return Fail(Field(key) + " must be a number.");
    *out = value->get<double>();
  }

  void Read(const char* key, int64_t* out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    // A number past int64 is read as unsigned: get() would wrap it.
    if (!value->is_number_integer() ||
        (value->is_number_unsigned() &&
         value->get<uint64_t>() > uint64_t{INT64_MAX})) {
      return Fail(Field(key) + " must be a 64-bit integer.");
    }
    *out = value->get<int64_t>();
  }

  void Read(const char* key, int32_t* out) {
    int64_t wide = *out;
    Read(key, &wide);
    if (!status_.ok()) return;
    if (wide < INT32_MIN || wide > INT32_MAX) {
      return Fail(Field(key) + " must be a 32-bit integer.");
    }
    *out = static_cast<int32_t>(wide);
  }

  // Null when it is absent and may be.
  const Json* ReadArray(const char* key, bool required) {
    const Json* value = required ? Find(key) : Optional(key);
    if (value != nullptr && !value->is_array()) {
      Fail(Field(key) + " must be a list.");
      return nullptr;
    }
    return value;
  }

  bool Has(const char* key) const {
    return status_.ok() && object_.contains(key);
  }
  const Status& status() const { return status_; }

 private:
  std::string Field(const char* key) const { return where_ + "." + key; }

  const Json* Optional(const char* key) {
    if (!status_.ok()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  const Json* Find(const char* key) {
    const Json* value = Optional(key);
    if (value == nullptr && status_.ok()) Fail(Field(key) + " is missing.");
    return value;
  }

  void Fail(std::string message) {
    if (status_.ok()) status_ = InvalidArgument(std::move(message));
  }

  const Json& object_;
  std::string where_;
  Status status_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_JSON_READER_H_
