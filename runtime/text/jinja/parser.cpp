// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/parser.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

#include "runtime/text/jinja/error.hpp"
#include "runtime/text/jinja/expression_parser.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/token_stream.hpp"

namespace troupe::jinja {
namespace {

class parser {
 public:
  explicit parser(const std::vector<token>& tokens) : tokens_(tokens), expressions_(tokens_) {}

  statement_list run() {
    statement_list all = body({});
    if (!tokens_.is(token_kind::end)) unexpected_tag();
    check_macro_calls();
    return all;
  }

 private:
  // Statements up to a tag whose name is one of `ends` (which is not passed), or the end of the template.
  statement_list body(std::initializer_list<std::string_view> ends) {
    if (++depth_ > nesting_max) fail(tokens_.line(), fmt::format("statements are nested deeper than {}", nesting_max));
    statement_list statements;
    while (!tokens_.is(token_kind::end) && !at_tag(ends))
      statements.push_back(one());
    --depth_;
    return statements;
  }

  bool at_tag(std::initializer_list<std::string_view> names) const {
    return tokens_.is(token_kind::block_begin) && tokens_.ahead().kind == token_kind::name &&
           std::find(names.begin(), names.end(), tokens_.ahead().value) != names.end();
  }

  statement one() {
    const std::size_t line = tokens_.line();
    if (tokens_.is(token_kind::text)) return {text_statement{tokens_.take().value}, line};
    if (tokens_.is(token_kind::output_begin)) {
      tokens_.take();
      expression_pointer content = expressions_.parse_tuple();
      tokens_.expect(token_kind::output_end, "'}}'");
      return {output_statement{std::move(content)}, line};
    }
    return tag();
  }

  statement tag() {
    const std::size_t line = tokens_.line();
    tokens_.expect(token_kind::block_begin, "'{%'");
    const std::string name = tokens_.expect_name("the name of a tag");
    if (name == "set") return set(line);
    if (name == "if") return {if_branches(), line};
    if (name == "for") return for_loop(line);
    if (name == "macro") return macro(line);
    if (name == "break" || name == "continue") return leave_loop(name, line);
    fail(line, fmt::format("the tag '{}' is not supported here", name));
  }

  [[noreturn]] void unexpected_tag() const {
    fail(tokens_.line(), fmt::format("the tag '{}' has no beginning", tokens_.ahead().value));
  }

  void end_tag() { tokens_.expect(token_kind::block_end, "'%}'"); }

  // Passes "{% name %}", which must stand here because a body ended.
  void closing_tag(std::string_view name, std::string_view opening, std::size_t line) {
    if (!at_tag({name})) fail(line, fmt::format("the tag '{}' has no '{}'", opening, name));
    tokens_.take();
    tokens_.take();
    end_tag();
  }

  statement set(std::size_t line) {
    set_statement s;
    do {
      s.names.push_back(target());
    } while (tokens_.take_symbol(","));
    if (s.names.size() == 1 && tokens_.take_symbol(".")) s.attribute = tokens_.expect_name("the name of an attribute");
    if (tokens_.is(token_kind::block_end) && s.names.size() == 1 && s.attribute.empty())
      return set_block(s.names[0], line);
    tokens_.expect_symbol("=");
    s.content = expressions_.parse_tuple();
    end_tag();
    return {std::move(s), line};
  }

  statement set_block(const std::string& name, std::size_t line) {
    end_tag();
    set_block_statement s{name, body({"endset"})};
    closing_tag("endset", "set", line);
    return {std::move(s), line};
  }

  std::string target() {
    const std::size_t line = tokens_.line();
    std::string name = tokens_.expect_name("a name");
    for (const std::string_view fixed : {"true", "false", "none", "True", "False", "None", "loop"})
      if (name == fixed) fail(line, fmt::format("'{}' cannot be set", name));
    return name;
  }

  if_statement if_branches() {
    const std::size_t line = tokens_.line();
    if_statement s;
    bool more = true;
    while (more) {
      expression_pointer condition = expressions_.parse_tuple();
      end_tag();
      s.branches.push_back({std::move(condition), body({"elif", "else", "endif"})});
      more = at_tag({"elif"});
      if (more) {
        tokens_.take();
        tokens_.take();
      }
    }
    if (at_tag({"else"})) {
      closing_tag("else", "if", line);
      s.branches.push_back({nullptr, body({"endif"})});
    }
    closing_tag("endif", "if", line);
    return s;
  }

  statement for_loop(std::size_t line) {
    for_statement s;
    do {
      s.names.push_back(target());
    } while (tokens_.take_symbol(","));
    if (!tokens_.take_name("in")) tokens_.unexpected("'in'");
    s.iterable = expressions_.parse_without_condition();
    if (tokens_.take_name("if")) s.condition = expressions_.parse();
    if (tokens_.is_name("recursive")) fail(line, "a recursive for is not supported");
    end_tag();
    ++loops_;
    s.body = body({"else", "endfor"});
    --loops_;
    if (at_tag({"else"})) {
      closing_tag("else", "for", line);
      s.otherwise = body({"endfor"});
    }
    closing_tag("endfor", "for", line);
    return {std::move(s), line};
  }

  statement macro(std::size_t line) {
    if (depth_ != 1) fail(line, "a macro inside another statement is not supported");
    auto m = std::make_shared<macro_statement>();
    m->name = target();
    tokens_.expect_symbol("(");
    while (!tokens_.take_symbol(")")) {
      std::string parameter = target();
      m->parameters.emplace_back(std::move(parameter), tokens_.take_symbol("=") ? expressions_.parse() : nullptr);
      if (!tokens_.is_symbol(")")) tokens_.expect_symbol(",");
    }
    end_tag();
    m->body = body({"endmacro"});
    closing_tag("endmacro", "macro", line);
    macros_.push_back(m->name);
    return {std::shared_ptr<const macro_statement>(std::move(m)), line};
  }

  statement leave_loop(const std::string& name, std::size_t line) {
    if (loops_ == 0) fail(line, fmt::format("'{}' stands outside a for", name));
    end_tag();
    if (name == "break") return {break_statement{}, line};
    return {continue_statement{}, line};
  }

  void check_macro_calls() const {
    for (const auto& [name, line] : expressions_.macro_calls())
      if (std::find(macros_.begin(), macros_.end(), name) == macros_.end())
        fail(line, fmt::format("the function '{}' is not supported", name));
  }

  token_stream tokens_;
  expression_parser expressions_;
  std::size_t depth_ = 0;
  std::size_t loops_ = 0;
  std::vector<std::string> macros_;
};

}  // namespace

statement_list parse(const std::vector<token>& tokens) { return parser(tokens).run(); }

}  // namespace troupe::jinja
