// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/json_tree.hpp"

#include <cstddef>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace troupe {

namespace {

constexpr std::size_t depth_max = 32;
constexpr std::size_t keys_max = 10000;
constexpr std::size_t values_max = 400000;
constexpr std::size_t text_bytes_max = 4 << 20;

/// Builds the tree while the text is read and stops at the first thing that is out of bounds.
class tree_builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  json_tree take() { return std::move(root_); }
  const std::string& refusal() const { return refusal_; }

  bool null() override { return add({}); }

  bool boolean(bool value) override {
    json_tree tree;
    tree.what = json_tree::kind::boolean;
    tree.flag = value;
    return add(std::move(tree));
  }

  bool number_integer(number_integer_t value) override {
    return add_integer(value < 0, value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value),
                       static_cast<double>(value));
  }

  bool number_unsigned(number_unsigned_t value) override {
    return add_integer(false, value, static_cast<double>(value));
  }

  bool number_float(number_float_t value, const string_t&) override {
    json_tree tree;
    tree.what = json_tree::kind::real;
    tree.number = value;
    return add(std::move(tree));
  }

  bool string(string_t& value) override {
    if (value.size() > text_bytes_max) return refuse("a string is longer than 4 MiB; send a shorter one");
    json_tree tree;
    tree.what = json_tree::kind::text;
    tree.text = std::move(value);
    return add(std::move(tree));
  }

  bool binary(binary_t&) override { return refuse("binary values are no JSON; send text"); }

  bool key(string_t& value) override {
    if (++keys_ > keys_max) return refuse("the body has more than 10,000 keys; send fewer");
    auto& parent = open_.back();
    if (!parent.seen.insert(value).second)
      return refuse(fmt::format("the key {} is there twice in one object; send it once", value.substr(0, 64)));
    parent.tree.entries.push_back({std::move(value), {}});
    return true;
  }

  bool start_object(std::size_t) override { return open(json_tree::kind::object); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json_tree::kind::array); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    // The library's own text repeats what was read last, which may be megabytes.
    return refuse(fmt::format("the body is no valid JSON at byte {}; send one JSON object in UTF-8", position));
  }

 private:
  struct level {
    json_tree tree;
    std::set<std::string> seen;
  };

  bool refuse(std::string why) {
    refusal_ = std::move(why);
    return false;
  }

  bool add_integer(bool negative, std::uint64_t magnitude, double number) {
    json_tree tree;
    tree.what = json_tree::kind::integer;
    tree.negative = negative;
    tree.magnitude = magnitude;
    tree.number = number;
    return add(std::move(tree));
  }

  bool open(json_tree::kind what) {
    if (open_.size() >= depth_max) return refuse("the body is nested deeper than 32 levels; send a flatter one");
    open_.emplace_back();
    open_.back().tree.what = what;
    return true;
  }

  bool close() {
    auto done = std::move(open_.back().tree);
    open_.pop_back();
    return add(std::move(done));
  }

  bool add(json_tree tree) {
    if (++values_ > values_max) return refuse("the body has more than 400,000 values; send fewer");
    if (open_.empty())
      root_ = std::move(tree);
    else if (auto& parent = open_.back().tree; parent.what == json_tree::kind::array)
      parent.items.push_back(std::move(tree));
    else
      parent.entries.back().value = std::move(tree);
    return true;
  }

  json_tree root_;
  std::vector<level> open_;
  std::size_t keys_ = 0;
  std::size_t values_ = 0;
  std::string refusal_;
};

}  // namespace

std::variant<json_tree, json_refusal> parse_json(std::string_view text) {
  tree_builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return json_refusal{builder.refusal()};
  return builder.take();
}

std::string_view describe(json_tree::kind what) {
  switch (what) {
    case json_tree::kind::null:
      return "null";
    case json_tree::kind::boolean:
      return "a boolean";
    case json_tree::kind::integer:
      return "an integer";
    case json_tree::kind::real:
      return "a fraction";
    case json_tree::kind::text:
      return "a string";
    case json_tree::kind::array:
      return "an array";
    case json_tree::kind::object:
      return "an object";
  }
  return "unknown";
}

}  // namespace troupe
