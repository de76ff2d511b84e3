#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renders the templates of tests/data/chat_templates with Python's jinja2 and writes the *.json there.

    python3 tools/chat_template_reference.py

jinja2 is set up as transformers does for chat templates. Each case is {template or file, messages, options, rendered};
`rendered` is null where jinja2 fails. Needs `pip install jinja2`.
"""
import datetime
import json
import pathlib
import random

import jinja2
import jinja2.ext
import jinja2.sandbox

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "chat_templates"
NOW = datetime.datetime(2024, 7, 9, 5, 4, 3)
BOS = "<|begin_of_text|>"


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                       extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: NOW.strftime(form)
    return env


def render(source, messages, options):
    try:
        return environment().from_string(source).render(
            messages=messages, tools=None, documents=None, bos_token=BOS, **options)
    except Exception:  # whatever jinja2 raises: this case has no rendering
        return None


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS = [
    chat(("user", "Hi")),
    chat(("user", "  Hi there \n")),
    chat(("system", "Be brief."), ("user", "What is 2+2?")),
    chat(("user", "a"), ("assistant", "b"), ("user", "c")),
    chat(("system", "  sys\n"), ("user", "你好 👋🏽"), ("assistant", "您好"), ("user", "re<|im_end|>tour\u2028x\u00a0")),
    chat(("user", "q"), ("assistant", "<think>\nsecret\n</think>\n\nanswer"), ("user", "next")),
    chat(("user", "q"), ("assistant", "<think>\nkept\n</think>\n\nanswer")),
    chat(("user", "q"), ("assistant", "<think>one</think>two</think>three\n"), ("assistant", "more"), ("assistant", "last")),
    chat(("user", "q"), ("assistant", "plain"), ("user", "<result>x</result>"), ("assistant", "\n\nafter</think>\n\n\nz")),
    chat(("user", "q"), ("system", "late rule"), ("assistant", ""), ("user", "")),
    chat(("user", "1"), ("tool", "r1"), ("tool", "r2"), ("assistant", "ok"), ("tool", "r3")),
    chat(("assistant", "I begin"), ("user", "then me")),
    chat(("system", "only a system")),
    [],
]
OPTIONS = [{"add_generation_prompt": True}, {"add_generation_prompt": False},
           {"add_generation_prompt": True, "enable_thinking": False}, {"add_generation_prompt": True, "enable_thinking": True},
           {"add_generation_prompt": True, "date_string": "26 Jul 2024"}]

SNIPPETS = [
    # white space control
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "a\n  {% if true %}\n  b\n  {% endif %}  \nc", "  {{ 1 }}\n  {{ 2 }}\n",
    "x {%- if true -%} y {%- endif -%} z", "a \n\n {{- 'b' -}} \n\n c", "a\n  {%+ if true %}b{% endif +%}\n c",
    "{# one #}\n{# two #}\nx", "a\n   {# c #}   \nb", "a {#- c -#} b", "x\n\n", "x\r\ny\rz\r\n", "\n{% set a = 1 %}\n\n{{ a }}\n\n",
    "a\n\t{% set x = 1 %}\t{% set y = 2 %}\nb", "{% if true %}\n\n\nq{% endif %}", "{{ 'a' }}\n", "{{ 'a' }}\n\n", "{%- if true %}x{% endif %}",
    "a\u00a0\n\u2003{%- set x = 1 %}b", "a\n{{- '' }}\n  {% set x = 1 %}\nb", "{{ '}}' }}{{ '%}' }}", "{ {% if true %} } {% endif %}",
    # literals and escapes
    r"{{ 'a\nb\tc\\d\'e' }}", r'{{ "q\"w\x41\u00e9\U0001F600\101" }}', r"{{ '\q\d' }}", "{{ 'a' 'b' \"c\" }}", "{{ 'line\\\nend' }}",
    "{{ 12 }}{{ -3 }}{{ +4 }}", "{{ true }}{{ False }}{{ none }}{{ None }}", "{{ [1, 'a', true]|tojson }}", "{{ {'a': 1, 'b': [2], 'a': 3}|tojson }}",
    "{{ (1, 2)|length }}{{ ()|length }}{{ (1,)|length }}", "{{ {'a': {'b': 1}}.a.b }}", "{{ {'k': 1}['k'] }}",
    # operators
    "{{ 1 + 2 * 3 - 4 }}", "{{ (1 + 2) * 3 }}", "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 // -2 }}", "{{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }}",
    "{{ 'a' + 'b' ~ 1 ~ none ~ true ~ nothing }}", "{{ 'ab' * 3 }}{{ 2 * 'x' }}{{ 'y' * -1 }}", "{{ [1] + [2, 3] | list | length }}",
    "{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 'a' < 'b' }}{{ 2 >= 2 }}{{ 1 == true }}{{ 'a' != 'b' }}", "{{ [1, 2] == [1, 2] }}{{ {'a': 1} == {'a': 1} }}",
    "{{ 'b' in 'abc' }}{{ 'z' not in 'abc' }}{{ 2 in [1, 2] }}{{ 'a' in {'a': 1} }}{{ 1 in nothing }}", "{{ not true or true and false }}",
    "{{ 'x' or 'y' }}{{ '' or 'y' }}{{ 'x' and 'z' }}{{ 0 and 1 }}{{ not '' }}", "{{ 1 if true else 2 }}{{ 1 if false }}{{ 'a' if 0 else 'b' if 0 else 'c' }}",
    "{{ -2 * -3 }}", "{{ 2 + 3 | string | length }}", "{{ 'a' ~ 'b' | upper }}", "{{ nothing == nothing2 }}{{ nothing == none }}{{ nothing == '' }}",
    "{{ none == none }}{{ none is none }}", "{{ not 1 == 2 }}", "{{ 1 - 1 - 1 }}", "{{ 'a' < 1 }}", "{{ 1 + 'a' }}", "{{ none + 1 }}", "{{ 1 // 0 }}", "{{ - 'a' }}",
    # names, attributes, slices
    "{{ nothing }}|{{ nothing.a is defined }}", "{{ nothing.a }}", "{{ messages[0].nothing }}|", "{{ messages[0]['role'] }}{{ messages[-1].content }}", "{{ messages[99] }}|",
    "{{ messages[99].role }}", "{{ 'héllo'[1] }}{{ 'héllo'[-1] }}{{ 'héllo'[1:3] }}{{ 'héllo'[::-1] }}{{ 'héllo'[:-2] }}{{ 'abc'[5] }}|",
    "{{ [1,2,3,4,5][1:4:2]|tojson }}{{ [1,2,3][::-1]|tojson }}{{ [1,2,3][-2:]|tojson }}{{ [1,2,3][10:]|tojson }}{{ [1,2,3][:1]|tojson }}",
    "{{ [1,2,3,4,5][4:0:-2]|tojson }}{{ [1,2,3][-9:9]|tojson }}{{ [1,2,3][2::-1]|tojson }}", "{{ 'abc'.nothing }}|", "{{ 5[0] }}|", "{{ messages.0.role }}", "{{ 'a'[none:] }}",
    # set, scopes, namespaces
    "{% set a = 1 %}{% set b, c = 2, 3 %}{{ a }}{{ b }}{{ c }}", "{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = x + i %}{{ x }};{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "{% set n = namespace(a=1, b='q') %}{% for i in range(3) %}{% set n.a = n.a + i %}{% endfor %}{{ n.a }}{{ n.b }}{{ n.c }}",
    "{% set x %}a{{ 1 }}\n{% endset %}[{{ x }}]", "{% set x.y = 1 %}", "{% for i in [1] %}{% set q = 5 %}{% endfor %}{{ q is defined }}", "{% set messages = messages[1:] %}{{ messages|length }}",
    # loops
    "{% for i in [1,2,3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}", "{% for i in [1,2,3,4] if i is even %}{{ i }}{{ loop.index }}{{ loop.last }}{% endfor %}", "{% for i in [1] if i > 5 %}{% else %}e{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}|items %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}", "{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}", "{% for c in 'añb' %}{{ c }}-{% endfor %}",
    "{% for a in [1,2] %}{% for b in [3,4] %}{{ loop.index }}{{ a }}{{ b }} {% endfor %}{{ loop.index }};{% endfor %}", "{% for i in range(2, 10, 3) %}{{ i }} {% endfor %}{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}",
    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in nothing %}x{% else %}e{% endfor %}", "{% for i in 5 %}x{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '^' }}>{{ loop.nextitem.role if not loop.last }};{% endfor %}", "{{ loop is defined }}", "{% for a, b in [[1,2],[3,4]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for i in [3,1] %}{% endfor %}{{ i is defined }}", "{% for i in [1,2] %}{% for j in [1] %}{{ loop.depth }}{% endfor %}{{ loop.depth0 }}{% endfor %}",
    # if
    "{% if 0 %}a{% elif '' %}b{% elif 'x' %}c{% else %}d{% endif %}", "{% if nothing %}a{% else %}b{% endif %}", "{% if not nothing is defined %}u{% endif %}", "{% if [] or {} %}a{% else %}b{% endif %}",
    # filters
    "{{ '  a b \\n'|trim }}|{{ 'xxaxx'|trim('x') }}|{{ '\u3000\x1fq\u2003'|trim }}|", "{{ 'abc'|upper }}{{ 'ÀB'|lower }}{{ 'hELLO wORLD'|capitalize }}", "{{ 'aXbXc'|replace('X', '-') }}{{ 'aXbXc'|replace('X', '-', 1) }}{{ 'ab'|replace('', '.') }}",
    "{{ [3,4]|first }}{{ [3,4]|last }}{{ 'xyz'|first }}{{ []|first }}|", "{{ ['a','b']|join(', ') }}{{ [1,2]|join }}{{ messages|join('/', attribute='role') }}{{ messages|map(attribute='role')|join(',') }}",
    "{{ nothing|default('d') }}{{ ''|default('d') }}{{ ''|default('d', true) }}{{ none|default('d') }}{{ nothing|d }}|", "{{ 'abc'|length }}{{ 'äöü'|length }}{{ {'a': 1}|length }}{{ messages|count }}{{ nothing|length }}",
    "{{ 'ab'|list|tojson }}{{ {'a': 1}|list|tojson }}{{ nothing|list|tojson }}", "{{ 'x'|safe }}{{ 5|string + 'a' }}", "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|rejectattr('role', 'eq', 'user')|list|length }}",
    "{{ [1,2,3,4]|select('odd')|list|tojson }}{{ [1,2,3]|reject('equalto', 2)|list|tojson }}{{ [0,1,'']|select|list|tojson }}{{ messages|selectattr('content')|list|length }}", "{{ ['a','b']|map('upper')|join }}{{ ['ab','b']|map('replace','b','c')|join }}",
    "{{ [1,2]|reverse|list|tojson }}{{ 'abc'|reverse }}", "{{ messages[0]|tojson }}", "{{ messages|tojson(indent=2) }}", "{{ {'a': [], 'b': {}, 'c': [1, {'d': none}]}|tojson(indent=4) }}",
    "{{ 'q\"\\\\/\\n\\t\\x01\x7fé😀<>&'|tojson }}{{ 'é😀'|tojson(ensure_ascii=true) }}{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}", "{{ nothing|tojson }}", "{{ 5|length }}", "{{ 'a'|trim|upper|lower }}",
    "{{ {'a': 1}.items()|list|tojson }}{{ {'a': 1}.keys()|list|tojson }}{{ {'a': 1}.values()|list|tojson }}{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('b') }}{{ {'a': 1}.get('b', 'z') }}",
    # tests
    "{{ 'a' is string }}{{ 1 is string }}{{ {} is mapping }}{{ [] is iterable }}{{ 'a' is iterable }}{{ 1 is iterable }}{{ none is iterable }}{{ nothing is iterable }}{{ {} is sequence }}{{ [] is sequence }}",
    "{{ 1 is number }}{{ true is number }}{{ true is boolean }}{{ 1 is boolean }}{{ 1 is integer }}{{ true is integer }}{{ true is true }}{{ 1 is true }}{{ false is false }}{{ 0 is false }}{{ none is false }}",
    "{{ 4 is divisibleby 2 }}{{ 4 is divisibleby(3) }}{{ 3 is odd }}{{ 3 is even }}{{ 2 is in [1, 2] }}{{ 'a' is not none }}{{ 1 is eq 1 }}{{ 1 is ne(2) }}{{ 3 is gt 2 }}{{ 1 is lt(1) }}", "{{ nothing is undefined }}{{ nothing is not defined }}{{ messages is defined }}{{ nothing is none }}",
    "{{ raise_exception is defined }}{{ strftime_now is defined }}{{ namespace is defined }}", "{{ 'a' is string and 1 is number }}{{ 'yes' if nothing is defined else 'no' }}",
    # methods
    "{{ ' a '.strip() }}|{{ 'xxaxx'.strip('x') }}{{ '\\n\\na\\n'.lstrip('\\n') }}|{{ 'abcab'.rstrip('ab') }}{{ ' a'.lstrip() }}|", "{{ 'a,b,c'.split(',')|tojson }}{{ ' a  b '.split()|tojson }}{{ 'a,b,c'.split(',', 1)|tojson }}{{ 'abc'.split('x')|tojson }}{{ ''.split(',')|tojson }}{{ ''.split()|tojson }}{{ 'a b c '.split(none, 1)|tojson }}",
    "{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith('') }}{{ 'abc'.replace('b', 'x') }}{{ 'aaa'.replace('a', 'b', 2) }}{{ 'ab'.upper() }}{{ 'AB'.lower() }}{{ 'aB'.capitalize() }}{{ '-'.join(['a', 'b']) }}",
    "{{ messages[0].content.strip().upper() }}", "{{ ('a' + 'b').upper() }}", "{{ nothing.strip() }}", "{{ 1.strip() }}", "{{ 'a'.split('') }}",
    # functions and macros
    "{{ raise_exception('no') }}", "{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %B %b %d') }}", "{{ range(3)|list|tojson }}{{ range(0)|list|tojson }}{{ dict(a=1, b='x')|tojson }}",
    "{% macro m(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}", "{% macro m(c) %}\n  {{- c|trim -}}\n{% endmacro %}\n{{ m(' a ') }}{{ m('b') + '!' }}",
    "{% set g = 5 %}{% macro m() %}{{ g }}{% endmacro %}{% set g = 6 %}{{ m() }}", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{% for i in [1,2] %}{{ m(i) }}{% endfor %}",
    "{% macro m(a) %}{% set a = a + 1 %}{{ a }}{% endmacro %}{{ m(1) }}{{ m(1) }}", "{% macro m(a) %}{{ loop is defined }}{% endmacro %}{% for i in [1] %}{{ m(i) }}{% endfor %}",
]

# Texts and tags in random order, to try all pairs of white space controls.
SPACES = ["", "", " ", "\n", "  \n", "\n\n", "\n  ", " \n \n ", "a", "a\n", "\nb", " c ", "\td\n\t", "\r\n", "\u00a0"]
TAGS = ["{{%s 'v' %s}}", "{%%%s set x = 1 %s%%}", "{#%s note %s#}", "{%%%s if true %s%%}y{%%%s endif %s%%}", "{%%%s if true %s%%} \n {%%%s endif %s%%}"]


def white_space_snippets(count):
    r = random.Random(5)
    for _ in range(count):
        parts = []
        for _ in range(r.randint(1, 4)):
            tag = r.choice(TAGS)
            controls = "-" if tag.startswith("{{") else "-+"
            signs = tuple(r.choice(["", "", *controls]) for _ in range(tag.count("%s")))
            parts += [r.choice(SPACES), tag % signs]
        yield "".join(parts) + r.choice(SPACES)


def write(name, cases):
    text = "[\n" + ",\n".join(json.dumps(c, ensure_ascii=True) for c in cases) + "\n]\n"
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(cases)} cases, {sum(c['rendered'] is None for c in cases)} of them without a rendering")


def main():
    for path in sorted(FOLDER.glob("*.jinja")):
        source = path.read_bytes().decode()
        write(path.stem + ".json", [
            {"messages": messages, "options": options, "rendered": render(source, messages, options)}
            for messages in CONVERSATIONS for options in OPTIONS])
    messages = CONVERSATIONS[3]
    write("snippets.json", [{"template": s, "messages": messages, "rendered": render(s, messages, {"add_generation_prompt": True})}
                            for s in SNIPPETS])
    write("white_space.json", [{"template": s, "messages": [], "rendered": render(s, [], {"add_generation_prompt": True})}
                               for s in white_space_snippets(400)])


if __name__ == "__main__":
    main()
