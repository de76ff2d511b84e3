// SPDX-License-Identifier: Apache-2.0
#include "actors/errors.hpp"

#include <array>
#include <utility>

#include <caf/all.hpp>

#include "actors/protocol.hpp"

namespace troupe {
namespace {

constexpr std::array<std::pair<errc, std::string_view>, 19> names{{
    {errc::invalid_request, "invalid_request"},
    {errc::context_length_exceeded, "context_length_exceeded"},
    {errc::model_not_found, "model_not_found"},
    {errc::queue_full, "queue_full"},
    {errc::not_ready, "not_ready"},
    {errc::draining, "draining"},
    {errc::deadline_exceeded, "deadline_exceeded"},
    {errc::cancelled, "cancelled"},
    {errc::client_too_slow, "client_too_slow"},
    {errc::rank_lost, "rank_lost"},
    {errc::engine_failed, "engine_failed"},
    {errc::stale_epoch, "stale_epoch"},
    {errc::unknown_request, "unknown_request"},
    {errc::text_failed, "text_failed"},
    {errc::incompatible, "incompatible"},
    {errc::overloaded, "overloaded"},
    {errc::poison, "poison"},
    {errc::superseded, "superseded"},
    {errc::inconsistent, "inconsistent"},
}};

/// As make_overload makes it; others may come from a peer.
bool says_when(const caf::message& context) {
  return context.match_elements<std::string, std::uint64_t, std::uint64_t>();
}

}  // namespace

std::string to_string(errc x) {
  for (auto [code, name] : names)
    if (code == x) return std::string{name};
  return "unknown";
}

bool from_integer(std::uint8_t value, errc& x) {
  if (value < 1 || value > names.size()) return false;
  x = static_cast<errc>(value);
  return true;
}

caf::error make_failure(errc code, std::string sentence) { return {code, caf::make_message(std::move(sentence))}; }

caf::error make_overload(std::string sentence, std::chrono::milliseconds retry_after,
                         std::chrono::milliseconds closed_for) {
  return {errc::overloaded, caf::make_message(std::move(sentence), static_cast<std::uint64_t>(retry_after.count()),
                                              static_cast<std::uint64_t>(closed_for.count()))};
}

std::chrono::milliseconds retry_after(const caf::error& error) {
  auto context = error.context();
  return std::chrono::milliseconds{says_when(context) ? context.get_as<std::uint64_t>(1) : 0};
}

std::chrono::milliseconds closed_for(const caf::error& error) {
  auto context = error.context();
  return std::chrono::milliseconds{says_when(context) ? context.get_as<std::uint64_t>(2) : 0};
}

std::string describe(const caf::error& error) {
  auto context = error.context();
  if (context.match_elements<std::string>() || says_when(context)) return context.get_as<std::string>(0);
  return to_string(error);
}

std::string code_name(const caf::error& error) {
  if (error.category() != caf::type_id_v<errc>) return to_string(errc::engine_failed);
  return to_string(static_cast<errc>(error.code()));
}

}  // namespace troupe
