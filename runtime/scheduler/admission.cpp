// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/admission.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/scheduler/stop_rule.hpp"

namespace troupe {

std::string to_string(refusal x) {
  switch (x) {
    case refusal::none:
      return "none";
    case refusal::queue_full:
      return "queue_full";
    case refusal::empty_prompt:
      return "empty_prompt";
    case refusal::malformed:
      return "malformed";
    case refusal::context_too_long:
      return "context_too_long";
    case refusal::never_fits:
      return "never_fits";
    case refusal::duplicate:
      return "duplicate";
    case refusal::would_wait:
      return "would_wait";
    case refusal::nothing_left:
      return "nothing_left";
  }
  return "unknown";
}

namespace {

admission judge_form(const generation_request& request) {
  if (request.tokens.empty() || request.prompt_tokens == 0)
    return {refusal::empty_prompt, "the prompt has no token and must have at least 1"};
  if (request.prompt_tokens > request.tokens.size())
    return {refusal::malformed, fmt::format("prompt_tokens is {} and only {} tokens are given", request.prompt_tokens,
                                            request.tokens.size())};
  if (request.stops.max_tokens == 0) return {refusal::malformed, "max_tokens is 0 and must be at least 1"};
  return {};
}

/// A resumed request whose last token was its end, or that has as many as it asked for.
admission judge_rest(const generation_request& request, const scheduler_options& options) {
  const auto generated = request.tokens.size() - request.prompt_tokens;
  if (generated == 0) return {};
  if (is_stop(request.tokens.back(), request.stops, options.eos_ids))
    return {refusal::nothing_left, fmt::format("the last of the {} tokens generated ended it", generated),
            finish_reason::stop};
  if (generated >= request.stops.max_tokens || request.tokens.size() == options.context_length)
    return {refusal::nothing_left, fmt::format("all of its {} tokens are generated", generated), finish_reason::length};
  return {};
}

admission judge_size(const generation_request& request, const scheduler_options& options) {
  const auto tokens = request.tokens.size();
  if (tokens >= options.context_length)
    return {
        refusal::context_too_long,
        fmt::format("the request has {} tokens and the context holds {}, the answer included; at most {} can be given",
                    tokens, options.context_length, options.context_length - 1)};
  if (const auto room = std::uint64_t{options.blocks} * options.block_tokens; tokens > room)
    return {refusal::never_fits,
            fmt::format("the request has {} tokens and the KV memory of this group holds {} ({} blocks of {})", tokens,
                        room, options.blocks, options.block_tokens)};
  return {};
}

}  // namespace

admission judge_wait(const expected_wait& wait, const expected_wait& least, std::uint32_t max_wait_ms,
                     const scheduler_stats& now) {
  const auto bound = 1000.0 * max_wait_ms;
  if (wait.us <= bound) return {};
  admission out;
  out.reason = refusal::would_wait;
  out.retry_after_us = static_cast<std::uint64_t>(std::ceil(wait.us - bound));
  out.closed_us = static_cast<std::uint64_t>(std::max(0.0, least.us - bound));
  out.sentence = fmt::format(
      "it would wait {:.0f} ms for {}, and {} ms is the bound (max_wait): {} sequences run and {} requests wait; try "
      "again in {:.0f} ms",
      wait.us / 1000, to_string(wait.cause), max_wait_ms, now.running, now.waiting, (wait.us - bound) / 1000);
  return out;
}

admission judge(const generation_request& request, const scheduler_options& options) {
  if (auto answer = judge_form(request); !answer.accepted()) return answer;
  if (auto answer = judge_rest(request, options); !answer.accepted()) return answer;
  return judge_size(request, options);
}

}  // namespace troupe
