#include "cc/cost/json_reader.h"

#include <utility>

namespace grappler_go {

std::string Quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

ObjectReader::ObjectReader(const Json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object.is_object()) Fail(where_ + " must be a JSON object.");
}

void ObjectReader::CheckFields(
    std::initializer_list<std::string_view> allowed) {
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

void ObjectReader::Read(const char* key, std::string* out) {
  const Json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(Field(key) + " must be a string.");
  *out = value->get<std::string>();
}

void ObjectReader::Read(const char* key, double* out) {
  const Json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_number()) return Fail(Field(key) + " must be a number.");
  *out = value->get<double>();
}

void ObjectReader::Read(const char* key, int64_t* out) {
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

void ObjectReader::Read(const char* key, int32_t* out) {
  int64_t wide = *out;
  Read(key, &wide);
  if (!status_.ok()) return;
  if (wide < INT32_MIN || wide > INT32_MAX) {
    return Fail(Field(key) + " must be a 32-bit integer.");
  }
  *out = static_cast<int32_t>(wide);
}

const Json* ObjectReader::ReadArray(const char* key, bool required) {
  const Json* value = required ? Find(key) : Optional(key);
  if (value != nullptr && !value->is_array()) {
    Fail(Field(key) + " must be a list.");
    return nullptr;
  }
  return value;
}

bool ObjectReader::Has(const char* key) const {
  return status_.ok() && object_.contains(key);
}

const Json* ObjectReader::Optional(const char* key) const {
  if (!status_.ok()) return nullptr;
  const auto it = object_.find(key);
  return it == object_.end() ? nullptr : &*it;
}

const Json* ObjectReader::Find(const char* key) {
  const Json* value = Optional(key);
  if (value == nullptr && status_.ok()) Fail(Field(key) + " is missing.");
  return value;
}

void ObjectReader::Fail(std::string message) {
  if (status_.ok()) status_ = InvalidArgument(std::move(message));
}

}  // namespace grappler_go
