// SPDX-License-Identifier: Apache-2.0
// The gateway before a service that makes its answers from a hash of what was asked: lets the tests of HTTP clients run
// without a model. Prints one JSON line with its address and ends when standard input does.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "apps/gateway/gateway.hpp"
#include "tests/support/scripted_completion_service.hpp"

using namespace troupe;

namespace {

constexpr std::uint32_t tokens_until_end = 20;

std::uint64_t hash_of(const generation& what) {
  auto text = what.prompt.text;
  for (const auto& message : what.prompt.messages)
    text.append(message.role).append(message.content);
  for (auto token : what.prompt.tokens)
    text.append(std::to_string(token)).append(",");
  if (what.sampling.temperature != 0) text.append(std::to_string(what.sampling.seed));
  return std::hash<std::string>{}(text);
}

/// Where the earliest stop string begins in `text`, or npos.
std::size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
  auto first = std::string::npos;
  for (const auto& stop : stops)
    first = std::min(first, text.find(stop));
  return first;
}

/// The text comes with the last token: a script need not hold back what may become a stop string.
scripted_answer answer(const generation& what) {
  const auto wanted = what.stops.max_tokens == 0 ? tokens_until_end : what.stops.max_tokens;
  const auto length = what.stops.ignore_eos ? wanted : std::min(wanted, tokens_until_end);
  scripted_answer out;
  answer_event last;
  last.finish = length == wanted ? finish_reason::length : finish_reason::stop;
  auto state = hash_of(what);
  std::string said;
  auto stop = std::string::npos;
  for (std::uint32_t position = 0; position < length && stop == std::string::npos; ++position) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    answer_token token;
    token.position = position;
    token.token = static_cast<token_id>((state >> 33) % 999);
    token.logprob = -0.5F;
    for (std::int32_t i = 0; i < what.sampling.logprobs; ++i)
      token.top.push_back({(token.token + i) % 999, -0.5F - static_cast<float>(i)});
    said.append("t").append(std::to_string(token.token));
    stop = find_stop(said, what.stop_strings);
    answer_event event;
    event.tokens.push_back(std::move(token));
    out.events.push_back(std::move(event));
  }
  if (stop != std::string::npos) {
    last.finish = finish_reason::stop;
    said.resize(stop);
  }
  last.usage.completion_tokens = static_cast<std::uint32_t>(out.events.size());
  last.usage.prompt_tokens =
      what.prompt.kind == prompt_kind::tokens ? static_cast<std::uint32_t>(what.prompt.tokens.size()) : 5;
  out.events.back().text = std::move(said);
  out.events.push_back(std::move(last));
  return out;
}

}  // namespace

int main() {
  scripted_completion_service service(answer);
  gateway server({}, service);
  std::cout << R"({"base_url": "http://127.0.0.1:)" << server.port() << R"(/v1", "model": ")" << service.model().name
            << "\"}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
  }
  server.drain();
  return server.wait_drained(std::chrono::seconds(20)) ? 0 : 1;
}
