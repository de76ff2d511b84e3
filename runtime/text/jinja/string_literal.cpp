// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/string_literal.hpp"

#include <charconv>

#include "runtime/text/jinja/error.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe::jinja {
namespace {

constexpr std::string_view simple_names = "ntrabfv\\'\"";
constexpr std::string_view simple_values = "\n\t\r\a\b\f\v\\'\"";

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// The digits of \x, \u or \U behind the letter; how many there must be depends on it.
std::size_t append_hexadecimal(std::string_view rest, std::string& out, std::size_t line) {
  const std::size_t digits = rest[0] == 'x' ? 2 : rest[0] == 'u' ? 4 : 8;
  std::uint32_t code = 0;
  const char* begin = rest.data() + 1;
  const char* end = begin + std::min(digits, rest.size() - 1);
  const auto parsed = std::from_chars(begin, end, code, 16);
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (parsed.ptr != begin + digits || code > 0x10FFFF || surrogate)
    fail(line, fmt::format("the escape \\{} is not a character", rest.substr(0, digits + 1)));
  append_utf8(out, code);
  return digits + 1;
}

std::size_t append_octal(std::string_view rest, std::string& out) {
  std::size_t length = 0;
  char32_t code = 0;
  while (length < 3 && length < rest.size() && is_octal(rest[length]))
    code = code * 8 + char32_t(rest[length++] - '0');
  append_utf8(out, code);
  return length;
}

// `rest` begins behind the backslash. Returns how much of it the escape takes.
std::size_t append_escape(std::string_view rest, std::string& out, std::size_t line) {
  const char c = rest[0];
  if (const std::size_t known = simple_names.find(c); known != std::string_view::npos) {
    out.push_back(simple_values[known]);
    return 1;
  }
  if (c == '\n') return 1;  // a line that goes on
  if (c == 'x' || c == 'u' || c == 'U') return append_hexadecimal(rest, out, line);
  if (is_octal(c)) return append_octal(rest, out);
  if (c == 'N') fail(line, "the escape \\N is not supported");
  out.push_back('\\');  // Python keeps the backslash of an escape that it does not know
  return 0;
}

}  // namespace

std::string unescape_string_literal(std::string_view body, std::size_t line) {
  std::string result;
  for (std::size_t i = 0; i < body.size();) {
    if (body[i] == '\\' && i + 1 < body.size()) {
      i += 1 + append_escape(body.substr(i + 1), result, line);
    } else {
      result.push_back(body[i++]);
    }
  }
  return result;
}

}  // namespace troupe::jinja
