// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/token_stream.hpp"

#include "runtime/text/jinja/error.hpp"

namespace troupe::jinja {
namespace {

std::string described(const token& t) {
  switch (t.kind) {
    case token_kind::end:
      return "the end of the template";
    case token_kind::text:
      return "text";
    case token_kind::output_begin:
      return "'{{'";
    case token_kind::output_end:
      return "'}}'";
    case token_kind::block_begin:
      return "'{%'";
    case token_kind::block_end:
      return "'%}'";
    case token_kind::string:
      return "a string";
    default:
      return "'" + t.value + "'";
  }
}

}  // namespace

const token& token_stream::take() {
  const token& taken = current();
  if (taken.kind != token_kind::end) ++at_;
  return taken;
}

bool token_stream::take_if(token_kind kind, std::string_view text) {
  if (!is(kind, text)) return false;
  take();
  return true;
}

void token_stream::expect_symbol(std::string_view text) {
  if (!take_symbol(text)) unexpected(fmt::format("'{}'", text));
}

void token_stream::expect(token_kind kind, std::string_view what) {
  if (!is(kind)) unexpected(what);
  take();
}

std::string token_stream::expect_name(std::string_view what) {
  if (!is(token_kind::name)) unexpected(what);
  return take().value;
}

void token_stream::unexpected(std::string_view wanted) const {
  fail(line(), fmt::format("{} is not expected here; {} is", described(current()), wanted));
}

}  // namespace troupe::jinja
