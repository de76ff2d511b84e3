// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault/fault.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include <fmt/format.h>

namespace troupe {
namespace {

constexpr std::array kinds{"kill", "freeze", "slow", "drop", "wrong-token", "hang", "crash"};
constexpr std::array roles{"node", "rank", "engine", "scheduler", "router", "tokenizer", "detokenizer", "topology"};
constexpr std::uint64_t time_max_ms = 3'600'000;
static_assert(kinds.size() == static_cast<std::size_t>(last_fault_kind) + 1);
static_assert(roles.size() == static_cast<std::size_t>(last_fault_role) + 1);

template <class Enum, std::size_t Size>
std::optional<Enum> parse(const std::array<const char*, Size>& names, std::string_view text) {
  for (std::size_t i = 0; i < Size; ++i)
    if (text == names[i]) return static_cast<Enum>(i);
  return std::nullopt;
}

bool can_meet(fault_kind kind, fault_role role) {
  switch (kind) {
    case fault_kind::kill:
      return true;
    case fault_kind::freeze:
    case fault_kind::drop:
      return role == fault_role::node || role == fault_role::rank;
    default:
      return role == fault_role::rank || role == fault_role::engine;
  }
}

}  // namespace

std::string to_string(fault_kind x) { return kinds.at(static_cast<std::size_t>(x)); }
std::string to_string(fault_role x) { return roles.at(static_cast<std::size_t>(x)); }

std::string to_string(const fault& x) {
  auto line = fmt::format("{} {}", to_string(x.kind), to_string(x.target.role));
  if (is_of_rank(x.target.role)) line += fmt::format(" {}/{}", x.target.group, x.target.rank);
  if (!is_of_rank(x.target.role) && !x.target.node.empty()) line += fmt::format(" of node {}", x.target.node);
  if (x.at_step > 0) line += fmt::format(" at step {}", x.at_step);
  if (x.after_tokens > 0) line += fmt::format(" after {} tokens", x.after_tokens);
  if (x.after_ms > 0) line += fmt::format(" after {} ms", x.after_ms);
  if (x.factor > 1) line += fmt::format(" by a factor of {}", x.factor);
  if (x.delay_ms > 0) line += fmt::format(" by {} ms a step", x.delay_ms);
  if (x.token >= 0) line += fmt::format(" of token {}", x.token);
  if (x.for_ms > 0) line += fmt::format(" for {} ms", x.for_ms);
  return line;
}

std::optional<fault_kind> parse_fault_kind(std::string_view text) { return parse<fault_kind>(kinds, text); }
std::optional<fault_role> parse_fault_role(std::string_view text) { return parse<fault_role>(roles, text); }

std::optional<fault_target> parse_fault_target(std::string_view text) {
  fault_target target;
  auto colon = text.find(':');
  auto place = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (auto role = parse_fault_role(text.substr(0, colon)))
    target.role = *role;
  else if (colon == std::string_view::npos)
    place = text;
  else
    return std::nullopt;
  if (!is_of_rank(target.role)) {
    target.node = std::string{place};
    return target;
  }
  auto slash = place.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  target.group = std::string{place.substr(0, slash)};
  auto number = place.substr(slash + 1);
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), target.rank);
  if (error != std::errc{} || end != number.data() + number.size()) return std::nullopt;
  return target;
}

bool is_for_engine(const fault& x) {
  if (!is_of_rank(x.target.role)) return false;
  return x.at_step > 0 || x.after_tokens > 0 || x.target.role == fault_role::engine || x.kind == fault_kind::slow ||
         x.kind == fault_kind::wrong_token || x.kind == fault_kind::hang || x.kind == fault_kind::crash;
}

std::string problem_with(const fault& x) {
  if (!can_meet(x.kind, x.target.role))
    return fmt::format("a {} cannot be met by {}; {}", to_string(x.target.role), to_string(x.kind),
                       x.kind == fault_kind::freeze || x.kind == fault_kind::drop ? "a node or a rank can"
                                                                                  : "a rank or its engine can");
  if (is_of_rank(x.target.role) && x.target.group.empty())
    return fmt::format("a {} is told by group and rank; give both, for example g0/1", to_string(x.target.role));
  if ((x.at_step > 0 || x.after_tokens > 0) && !is_of_rank(x.target.role))
    return fmt::format("a {} counts no steps or tokens; give a time instead", to_string(x.target.role));
  if (x.at_step > 0 && x.after_tokens > 0) return "a fault is at a step or after some tokens; give one of them";
  if (x.token >= 0 && x.kind != fault_kind::crash) return "only a crash is by a token";
  if (x.token >= 0 && (x.at_step > 0 || x.after_tokens > 0))
    return "a crash by a token comes with the token; give no step or number of tokens";
  if (x.kind == fault_kind::slow && !(x.factor > 1) && x.delay_ms == 0)
    return "slow by how much? Give a factor above 1 or a delay";
  if (!std::isfinite(x.factor) || x.factor < 1 || x.factor > 1e6) return "a factor is from 1 to 1,000,000";
  if (x.kind == fault_kind::freeze && x.target.role == fault_role::node && x.for_ms == 0)
    return "a frozen node hears nothing, so it must be told for how long";
  if (x.after_ms > time_max_ms || x.for_ms > time_max_ms || x.delay_ms > time_max_ms)
    return "a time is at most an hour";
  return {};
}

}  // namespace troupe
