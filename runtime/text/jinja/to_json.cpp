// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/to_json.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe::jinja {
namespace {

class writer {
 public:
  writer(evaluation& run, const json_style& style) : run_(run), style_(style) {}

  std::string write(const value& v) {
    put(v, 1);
    return std::move(out_);
  }

 private:
  void put(const value& v, std::size_t level) {
    run_.charge(1);
    if (out_.size() > output_bytes_max) run_.fail("the JSON is too long");
    if (v.is_string()) {
      put_string(v.string());
    } else if (v.is_none()) {
      out_ += "null";
    } else if (v.is_boolean()) {
      out_ += v.truthy() ? "true" : "false";
    } else if (v.is_integer()) {
      out_ += std::to_string(v.integer());
    } else if (const auto* list = v.list()) {
      put_list(*list, level);
    } else if (const auto* mapping = v.mapping()) {
      put_mapping(*mapping, level);
    } else {
      run_.fail(fmt::format("a {} cannot be written as JSON", v.type_name()));
    }
  }

  void put_list(const list_value& list, std::size_t level) {
    if (list.items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      separate(i, level);
      put(list.items[i], level + 1);
    }
    new_line(level - 1);
    out_ += ']';
  }

  void put_mapping(const mapping_value& mapping, std::size_t level) {
    if (mapping.entries.empty()) {
      out_ += "{}";
      return;
    }
    auto entries = mapping.entries;
    if (style_.sorted)
      std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    out_ += '{';
    for (std::size_t i = 0; i < entries.size(); ++i) {
      separate(i, level);
      put_string(entries[i].first);
      out_ += ": ";
      put(entries[i].second, level + 1);
    }
    new_line(level - 1);
    out_ += '}';
  }

  void separate(std::size_t index, std::size_t level) {
    if (index > 0) out_ += style_.indent ? "," : ", ";
    new_line(level);
  }

  void new_line(std::size_t level) {
    if (!style_.indent) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(*style_.indent) * level, ' ');
  }

  void put_string(std::string_view text) {
    run_.charge(text.size() / 64);
    out_ += '"';
    while (!text.empty()) {
      const utf8_step step = next_utf8(text);
      put_character(text.substr(0, step.length), step.code_point);
      text.remove_prefix(step.length);
    }
    out_ += '"';
  }

  void put_character(std::string_view bytes, char32_t c) {
    switch (c) {
      case '"':
        out_ += "\\\"";
        return;
      case '\\':
        out_ += "\\\\";
        return;
      case '\n':
        out_ += "\\n";
        return;
      case '\r':
        out_ += "\\r";
        return;
      case '\t':
        out_ += "\\t";
        return;
      case '\b':
        out_ += "\\b";
        return;
      case '\f':
        out_ += "\\f";
        return;
      default:
        break;
    }
    const auto code = static_cast<std::uint32_t>(c);
    if (code >= 0x20 && (code < 0x7F || !style_.ascii_only)) {
      out_ += bytes;
    } else if (code < 0x10000) {
      out_ += fmt::format("\\u{:04x}", code);
    } else {
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10U), 0xDC00 + (code & 0x3FFU));
    }
  }

  evaluation& run_;
  const json_style& style_;
  std::string out_;
};

}  // namespace

std::string to_json(evaluation& run, const value& v, const json_style& style) { return writer(run, style).write(v); }

}  // namespace troupe::jinja
