// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/json_check.hpp"

#include <set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace troupe {

namespace {

class checker : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string error;

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    return fail(fmt::format("the key \"{}\" appears twice", name.substr(0, 128)));
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(fmt::format("it is not valid JSON at byte {}", position));
  }

 private:
  static constexpr std::size_t depth_max = 32;

  bool fail(std::string why) {
    if (error.empty()) error = std::move(why);
    return false;
  }

  bool value() { return !keys_.empty() || fail("it is not a JSON object"); }

  bool open(bool object) {
    if (keys_.empty() && !object) return fail("it is not a JSON object");
    if (keys_.size() == depth_max) return fail(fmt::format("it is nested deeper than {} levels", depth_max));
    keys_.emplace_back();
    return true;
  }

  bool close() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;  // of the objects and arrays that are open
};

}  // namespace

std::string find_json_error(std::string_view text) {
  checker handler;
  nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  return handler.error;
}

}  // namespace troupe
