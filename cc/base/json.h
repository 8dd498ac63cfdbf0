// JSON: the one type for it, and the only way to read and to write its text.
//
//   const Json json = ParseJson("{\"cores\": 2}");
//   std::string text = JsonText(json);
//
// The library's parser and serializer are templates that cost every file that
// calls them seconds of compile time, in each kind of build. So json.cc alone
// does; the rest of the code names neither Json::parse() nor dump() nor <<
// (which EXPECT_EQ of a Json would call to show it).
#ifndef GRAPPLER_GO_BASE_JSON_H_
#define GRAPPLER_GO_BASE_JSON_H_

#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace grappler_go {

// Fields stay in the order in which they were added or read, and == of objects
// minds that order. A field is found by going through all: for objects with few
// fields and lists with many items.
using Json = nlohmann::ordered_json;

// Throws Json::parse_error when `text` is not one JSON value.
Json ParseJson(std::string_view text);

// On one line, or with `indent` spaces a level when that is not negative. Never
// throws for text that is not UTF-8, as names in a graph may be: the bytes come
// out with replacements.
std::string JsonText(const Json& json, int indent = -1);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BASE_JSON_H_
