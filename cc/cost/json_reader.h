// Reads JSON objects field by field, for machine_json.cc and its parts.
#ifndef GRAPPLER_GO_COST_JSON_READER_H_
#define GRAPPLER_GO_COST_JSON_READER_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "cc/base/json.h"
#include "cc/base/status.h"

namespace grappler_go {

std::string Quoted(std::string_view text);

// Reads the fields of one JSON object and remembers the first thing wrong.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where);

  void CheckFields(std::initializer_list<std::string_view> allowed);

  void Read(const char* key, std::string* out);
  void Read(const char* key, double* out);
  void Read(const char* key, int64_t* out);
  void Read(const char* key, int32_t* out);

  // Null when it is absent and may be.
  const Json* ReadArray(const char* key, bool required);

  bool Has(const char* key) const;
  const Status& status() const { return status_; }

 private:
  std::string Field(const char* key) const { return where_ + "." + key; }
  const Json* Optional(const char* key) const;
  const Json* Find(const char* key);
  void Fail(std::string message);

  const Json& object_;
  std::string where_;
  Status status_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_JSON_READER_H_
