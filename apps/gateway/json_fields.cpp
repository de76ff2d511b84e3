// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/json_fields.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe {

namespace {

bool asks_for_nothing(const json_tree& value) {
  switch (value.what) {
    case json_tree::kind::null:
      return true;
    case json_tree::kind::boolean:
      return !value.flag;
    case json_tree::kind::array:
      return value.items.empty();
    case json_tree::kind::object:
      return value.entries.empty();
    default:
      return false;
  }
}

}  // namespace

json_fields::json_fields(const json_tree& object, std::string path, std::optional<api_error>& error)
    : object_(object), path_(std::move(path)), error_(error) {
  if (object_.what != json_tree::kind::object && !error_)
    error_ = api_error{
        "invalid_type",
        fmt::format("{} is {} and must be an object", path_.empty() ? "the body" : path_, describe(object_.what)),
        path_};
}

std::string json_fields::path_of(std::string_view key) const {
  const std::string shown(key.substr(0, 64));
  return path_.empty() ? shown : path_ + "." + shown;
}

const json_tree* json_fields::find(std::string_view key) {
  known_.push_back(key);
  if (failed()) return nullptr;
  for (const auto& entry : object_.entries)
    if (entry.key == key) return entry.value.what == json_tree::kind::null ? nullptr : &entry.value;
  return nullptr;
}

const json_tree* json_fields::require(std::string_view key) {
  const auto* value = find(key);
  if (!value) fail("missing_field", key, fmt::format("{} is missing and is required", path_of(key)));
  return value;
}

void json_fields::fail(std::string_view code, std::string_view key, const std::string& message) {
  if (!failed()) error_ = api_error{std::string(code), message, path_of(key)};
}

void json_fields::fail_type(std::string_view key, const json_tree& value, const std::string& right) {
  fail("invalid_type", key, fmt::format("{} is {} and must be {}", path_of(key), describe(value.what), right));
}

const json_tree* json_fields::find_typed(std::string_view key, json_tree::kind what, const std::string& right) {
  const auto* value = find(key);
  if (!value || value->what == what) return value;
  fail_type(key, *value, right);
  return nullptr;
}

void json_fields::read_number(std::string_view key, float& out, double least, double most) {
  const auto* value = find(key);
  if (!value) return;
  const auto right = fmt::format("a number between {} and {}", least, most);
  if (!value->is_number()) return fail_type(key, *value, right);
  if (value->number < least || value->number > most)
    return fail("invalid_value", key, fmt::format("{} is {} and must be {}", path_of(key), value->number, right));
  out = static_cast<float>(value->number);
}

void json_fields::read_integer(std::string_view key, std::int32_t& out, std::int32_t least, std::int32_t most) {
  const auto right = fmt::format("an integer between {} and {}", least, most);
  const auto* value = find_typed(key, json_tree::kind::integer, right);
  if (!value) return;
  if (value->number < least || value->number > most)
    return fail(
        "invalid_value", key,
        fmt::format("{} is {}{} and must be {}", path_of(key), value->negative ? "-" : "", value->magnitude, right));
  out = static_cast<std::int32_t>(value->number);
}

void json_fields::read_count(std::string_view key, std::uint32_t& out, std::uint32_t least, std::uint32_t most) {
  auto count = static_cast<std::int32_t>(out);
  const auto before = count;
  read_integer(key, count, static_cast<std::int32_t>(least),
               static_cast<std::int32_t>(std::min(most, std::uint32_t{INT32_MAX})));
  if (count != before) out = static_cast<std::uint32_t>(count);
}

void json_fields::read_flag(std::string_view key, bool& out) {
  if (const auto* value = find_typed(key, json_tree::kind::boolean, "true or false")) out = value->flag;
}

void json_fields::read_text(std::string_view key, std::string& out) {
  if (const auto* value = find_typed(key, json_tree::kind::text, "a string")) out = value->text;
}

void json_fields::ignore(std::initializer_list<std::string_view> keys) {
  known_.insert(known_.end(), keys.begin(), keys.end());
}

void json_fields::refuse(std::initializer_list<std::string_view> keys) {
  for (auto key : keys)
    if (const auto* value = find(key); value && !asks_for_nothing(*value))
      fail("unsupported_field", key, fmt::format("{} is not supported by this server; leave it out", path_of(key)));
}

void json_fields::finish() {
  for (const auto& entry : object_.entries)
    if (std::find(known_.begin(), known_.end(), entry.key) == known_.end())
      fail("unknown_field", entry.key,
           fmt::format("{} is no field that this server knows; leave it out", path_of(entry.key)));
}

}  // namespace troupe
