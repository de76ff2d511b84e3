// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/chat_template.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using Catch::Matchers::ContainsSubstring;
using troupe::chat_message;
using troupe::chat_template;
using troupe::chat_template_error;

namespace {

std::string render(std::string_view source, const std::vector<chat_message>& messages = {{"user", "Hi"}}) {
  return chat_template(source).render(messages);
}

std::string repeated(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += text;
  return all;
}

class temporary_folder {
 public:
  explicit temporary_folder(const std::string& name)
      : path(std::filesystem::path(TROUPE_BINARY_DIR) / "test_folders" / name) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~temporary_folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }

  const std::filesystem::path path;
};

}  // namespace

TEST_CASE("a construct that is not supported is refused at load with its name and line") {
  const std::pair<std::string, std::string> cases[] = {
      {"a\n{{ x|sort }}", "line 2: the filter 'sort' is not supported"},
      {"{% if x is sameas y %}{% endif %}", "line 1: the test 'sameas' is not supported"},
      {"\n\n{% call f() %}{% endcall %}", "line 3: the tag 'call' is not supported"},
      {"{% raw %}{% endraw %}", "the tag 'raw' is not supported"},
      {"{% include 'x' %}", "the tag 'include' is not supported"},
      {"{% extends 'x' %}", "the tag 'extends'"},
      {"{{ lipsum() }}", "the function 'lipsum' is not supported"},
      {"{{ 'a'.zfill(3) }}", "the method 'zfill' is not supported"},
      {"{{ x.__class__() }}", "the method '__class__' is not supported"},
      {"{{ 1 / 2 }}", "the operator '/' is not supported"},
      {"{{ 2 ** 3 }}", "the operator '**' is not supported"},
      {"{{ 1.5 }}", "only plain integers"},
      {"{{ f(*a) }}", "'*' in arguments is not supported"},
      {"{% for x in y recursive %}{% endfor %}", "a recursive for is not supported"},
      {"{% if x %}{% macro m() %}{% endmacro %}{% endif %}", "a macro inside another statement"},
      {"{{ '\\N{DASH}' }}", "the escape \\N"},
      {"{{ '\\ud800' }}", "is not a character"},
  };
  for (const auto& [source, named] : cases) {
    INFO(source);
    CHECK_THROWS_WITH(chat_template(source), ContainsSubstring(named));
  }
}

TEST_CASE("a template that is not Jinja is refused at load") {
  const std::string sources[] = {"{{",
                                 "{{ }}",
                                 "{{ a",
                                 "{% if %}",
                                 "{% if a %}",
                                 "{% endif %}",
                                 "{% for %}",
                                 "{% for a in b %}",
                                 "{# never ends",
                                 "{{ 'never ends }}",
                                 "{{ a b }}",
                                 "{{ (a }}",
                                 "{{ a] }}",
                                 "{% set 1 = 2 %}",
                                 "{% set a %}",
                                 "{% else %}",
                                 "{{ a. }}",
                                 "{{ a[ ] }}",
                                 "{{ a[1:2:3:4] }}",
                                 "{{ a is }}",
                                 "{{ a| }}",
                                 "{% macro m( %}",
                                 "{% break %}",
                                 "{{ a ? b }}",
                                 "{%",
                                 "{{ {'a' 1} }}",
                                 "{{ not }}",
                                 "{% set loop = 1 %}",
                                 "{% for a in b %}{% else %}",
                                 "{{ f(a=1, 2) }}",
                                 "{% if a %}{% else %}{% elif b %}{% endif %}"};
  for (const std::string& source : sources) {
    INFO(source);
    CHECK_THROWS_AS(chat_template(source), chat_template_error);
  }
  CHECK_THROWS_AS(chat_template("\xFF"), chat_template_error);
}

TEST_CASE("a template that is too large or nested too deep is refused at load") {
  CHECK_THROWS_WITH(chat_template(std::string(2U << 20U, 'a')), ContainsSubstring("bytes"));
  for (const std::string& source :
       {"{{ " + repeated("(", 5000) + "a" + repeated(")", 5000) + " }}",
        "{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}", "{{ " + repeated("not ", 5000) + "a }}",
        "{{ " + repeated("- ", 5000) + "1 }}", "{{ 1" + repeated(" + 1", 5000) + " }}",
        "{{ a" + repeated(".b", 5000) + " }}", "{{ a" + repeated("|trim", 5000) + " }}",
        "{{ a" + repeated(" if a else a", 5000) + " }}", "{{ a" + repeated(" if a", 5000) + " }}",
        "{{ a" + repeated(" and a", 5000) + " }}", "{{ a" + repeated(" ~ a", 5000) + " }}",
        repeated("{% if a %}", 5000), repeated("{% for a in b %}", 5000)})
    CHECK_THROWS_WITH(chat_template(source), ContainsSubstring("nested deeper"));
  // What is long but not deep is fine.
  CHECK(render("{% if false %}" + repeated("{% elif false %}", 5000) + "{% else %}x{% endif %}") == "x");
  CHECK(render("{{ [" + repeated("1,", 5000) + "]|length }}") == "5000");
}

TEST_CASE("a rendering that would take too long, too much memory or too deep a stack ends with an error") {
  for (const std::string& source :
       {std::string("{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}"),
        std::string(
            "{% set n = namespace(s='0123456789') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}"),
        std::string("{% set n = namespace(s=[1]) %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}"),
        std::string("{% set n = namespace(s=[1]) %}{% for a in range(9999) %}{% set n.s = [n.s] %}{% endfor %}"),
        std::string("{% set n = namespace(s={}) %}{% for a in range(9999) %}{% set n.s = {'a': n.s} %}{% endfor %}"),
        std::string("{{ 'abc' * 999999999999 }}"), std::string("{{ 'abcdef'|replace('', 'x' * 60000000) }}"),
        std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), std::string("{{ range(1000000000) }}"),
        std::string("{% set n = namespace() %}{% set n.n = n %}"), std::string("{% set n = namespace() %}{{ [n] }}"),
        std::string("{{ strftime_now('%d') }}"), std::string("{{ messages }}"),
        std::string("{{ 999999999999999999 * 100 }}")})
    CHECK_THROWS_AS(render(source), chat_template_error);
}

TEST_CASE("an error while rendering names the line and what was wrong") {
  CHECK_THROWS_WITH(render("\n{{ messages[5].role }}"), ContainsSubstring("line 2: '[5]' is undefined"));
  CHECK_THROWS_WITH(render("{{ 'a' + 1 }}"), ContainsSubstring("line 1: '+' does not work on string and integer"));
  CHECK_THROWS_WITH(render("\n\n{{ raise_exception('roles must alternate') }}"),
                    ContainsSubstring("line 3: the template refuses the conversation: roles must alternate"));
  CHECK_THROWS_WITH(render("{{ messages[0].content }}", {{"user", "\xFF"}}),
                    ContainsSubstring("message 0 is not valid UTF-8"));
}

TEST_CASE("random templates are rendered or refused, and nothing else happens") {
  const std::string parts[] = {
      "{{",   "}}",      "{%",       "%}",     "{#",   "#}",   "-",        "+",    " if ", " for ",
      " in ", " endif ", " endfor ", " set ",  "a",    "'x'",  "messages", ".",    "[",    "]",
      "(",    ")",       "|",        "tojson", "trim", " is ", "defined",  "not ", "1",    ",",
      "=",    "==",      " else ",   ":",      "loop", "~",    "\n",       "{",    "}",    "macro m"};
  std::mt19937 random(8);
  for (int round = 0; round < 20'000; ++round) {
    std::string source;
    for (std::size_t n = random() % 14; n > 0; --n)
      source += parts[random() % std::size(parts)];
    try {
      render(source);
    } catch (const chat_template_error&) {
    }
  }
  SUCCEED();
}

TEST_CASE("a folder's template is found in its own file, or in tokenizer_config.json as a string or by name") {
  const temporary_folder folder("chat_template_test");
  CHECK_FALSE(chat_template::from_folder(folder.path));
  const std::vector<chat_message> messages = {{"user", "Hi"}};
  folder.write("tokenizer_config.json", R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>", "unk_token": null,
    "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ unk_token is defined }}"})");
  CHECK(chat_template::from_folder(folder.path)->render(messages) == "<b>Hi<e>False");
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "default", "template": "D"}, {"name": "rag", "template": "R"}]})");
  CHECK(chat_template::from_folder(folder.path)->render(messages) == "D");
  CHECK(chat_template::from_folder(folder.path, "rag")->render(messages) == "R");
  CHECK_THROWS_WITH(chat_template::from_folder(folder.path, "none"), ContainsSubstring("there are: default, rag"));
  folder.write("chat_template.jinja", "own file");
  CHECK(chat_template::from_folder(folder.path)->render(messages) == "own file");
  folder.write("chat_template.jinja", "{{ x|sort }}");
  CHECK_THROWS_WITH(chat_template::from_folder(folder.path),
                    ContainsSubstring("chat_template.jinja: chat template, line 1"));
}

TEST_CASE("a tokenizer_config.json that cannot be used is named") {
  const temporary_folder folder("chat_template_config_test");
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string(R"({"chat_template": 5})"),
        std::string(R"({"chat_template": [5]})"), std::string(R"({"chat_template": [{"name": "default"}]})"),
        std::string(100'000, '[')}) {
    folder.write("tokenizer_config.json", text);
    CHECK_THROWS_WITH(chat_template::from_folder(folder.path), ContainsSubstring("tokenizer_config.json"));
  }
}
