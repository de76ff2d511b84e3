// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/gateway/api_error.hpp"
#include "apps/gateway/json_tree.hpp"

namespace troupe {

/// Reads the fields of one JSON object from outside. The first problem is kept, and then nothing more is read.
/// A field that is null counts as absent. A read function leaves `out` alone when the field is absent or wrong.
class json_fields {
 public:
  /// `path` names the object in errors and is empty for the body; `error` is shared by the objects of one body.
  json_fields(const json_tree& object, std::string path, std::optional<api_error>& error);

  const json_tree* find(std::string_view key);
  /// As find, and absence is a problem.
  const json_tree* require(std::string_view key);

  void read_number(std::string_view key, float& out, double least, double most);
  void read_integer(std::string_view key, std::int32_t& out, std::int32_t least, std::int32_t most);
  void read_count(std::string_view key, std::uint32_t& out, std::uint32_t least, std::uint32_t most);
  void read_flag(std::string_view key, bool& out);
  void read_text(std::string_view key, std::string& out);

  /// Fields that say nothing about the answer, whatever their value.
  void ignore(std::initializer_list<std::string_view> keys);
  /// Fields that the server cannot honour; empty arrays and objects, false and null ask for nothing and pass.
  void refuse(std::initializer_list<std::string_view> keys);
  /// Call last: a field that nobody asked for is a problem.
  void finish();

  void fail(std::string_view code, std::string_view key, const std::string& message);
  bool failed() const { return error_.has_value(); }
  std::string path_of(std::string_view key) const;

 private:
  const json_tree* find_typed(std::string_view key, json_tree::kind what, const std::string& right);
  void fail_type(std::string_view key, const json_tree& value, const std::string& right);

  const json_tree& object_;
  std::string path_;
  std::optional<api_error>& error_;
  std::vector<std::string_view> known_;
};

}  // namespace troupe
