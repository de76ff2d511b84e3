// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// What is broken on purpose. The values travel: append only.
enum class fault_kind : std::uint8_t {
  kill,         ///< the process gets SIGKILL; an actor or an engine ends with an error
  freeze,       ///< the process gets SIGSTOP, and SIGCONT when the time is over
  slow,         ///< every step takes longer
  drop,         ///< connections are closed, and closed again until the time is over
  wrong_token,  ///< one sampled token is another one
  hang,         ///< the engine does not return from a step
  crash,        ///< the rank's process aborts
};
inline constexpr auto last_fault_kind = fault_kind::crash;

enum class fault_role : std::uint8_t { node, rank, engine, scheduler, router, tokenizer, detokenizer, topology };
inline constexpr auto last_fault_role = fault_role::topology;

/// Whom it meets. Rank, engine and scheduler are told by group and rank, the others by their node.
struct fault_target {
  fault_role role = fault_role::rank;
  std::string node;  ///< empty: the node that is asked
  std::string group;
  std::uint32_t rank = 0;
};

struct fault {
  std::uint64_t id = 0;  ///< given by the node that takes it
  fault_kind kind = fault_kind::kill;
  fault_target target;
  std::uint64_t at_step = 0;       ///< once this step of an epoch is reached; 0: not by step
  std::uint64_t after_tokens = 0;  ///< once the rank's engine has sampled that many; 0: not by tokens
  std::uint64_t after_ms = 0;      ///< that long after it was taken
  std::uint64_t for_ms = 0;        ///< 0: until it is cleared
  double factor = 1;               ///< slow: a step takes that many times as long
  std::uint64_t delay_ms = 0;      ///< slow: and that much more
  std::int64_t token = -1;         ///< crash: whenever a step feeds this token, in every life of the rank; -1: once
};

std::string to_string(fault_kind x);
std::string to_string(fault_role x);
/// One line: kind, target, when, how long.
std::string to_string(const fault& x);

std::optional<fault_kind> parse_fault_kind(std::string_view text);
std::optional<fault_role> parse_fault_role(std::string_view text);

/// rank:g0/1 (or g0/1), engine:g0/1, scheduler:g0/1, node:a, router:a, tokenizer:a ...; without the name the node that
/// is asked.
std::optional<fault_target> parse_fault_target(std::string_view text);

/// True for roles that are told by group and rank.
constexpr bool is_of_rank(fault_role x) {
  return x == fault_role::rank || x == fault_role::engine || x == fault_role::scheduler;
}

/// True when the rank's engine decides the moment, or is itself what is broken.
bool is_for_engine(const fault& x);

/// Why this fault makes no sense, in a sentence that says what would; empty when it does.
std::string problem_with(const fault& x);

template <class Inspector, class Enum>
bool inspect_fault_enum(Inspector& f, Enum& x, Enum last) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x, last](std::uint8_t value) {
    if (value > static_cast<std::uint8_t>(last)) return false;
    x = static_cast<Enum>(value);
    return true;
  };
  return f.apply(get, set);
}
template <class Inspector>
bool inspect(Inspector& f, fault_kind& x) {
  return inspect_fault_enum(f, x, last_fault_kind);
}
template <class Inspector>
bool inspect(Inspector& f, fault_role& x) {
  return inspect_fault_enum(f, x, last_fault_role);
}
template <class Inspector>
bool inspect(Inspector& f, fault_target& x) {
  return f.object(x).fields(f.field("role", x.role), f.field("node", x.node), f.field("group", x.group),
                            f.field("rank", x.rank));
}
template <class Inspector>
bool inspect(Inspector& f, fault& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("kind", x.kind), f.field("target", x.target),
                            f.field("at_step", x.at_step), f.field("after_tokens", x.after_tokens),
                            f.field("after_ms", x.after_ms), f.field("for_ms", x.for_ms), f.field("factor", x.factor),
                            f.field("delay_ms", x.delay_ms), f.field("token", x.token));
}

}  // namespace troupe
