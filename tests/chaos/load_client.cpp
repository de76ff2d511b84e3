// SPDX-License-Identifier: Apache-2.0
// Users of a cluster, for the tests that break it: keeps requests going through the client library and writes one JSON
// line for each that ended, with a monotonic time stamp for every piece. It knows nothing of what is broken meanwhile.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <nlohmann/json.hpp>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "runtime/engine/scripted_executor.hpp"
#include "topology/address.hpp"

namespace troupe {
namespace {

using clock = std::chrono::steady_clock;

struct load_options {
  std::vector<std::string> nodes;
  unsigned users = 8;       ///< requests at once, at most
  double rate = 0;          ///< arrivals a second; 0: a user asks again as soon as it has its answer
  double seconds = 10;      ///< new requests are begun for so long
  std::uint64_t count = 0;  ///< or until there were so many; 0: no such bound
  std::uint64_t seed = 1;
  std::uint32_t prompt_tokens = 24;
  std::uint32_t max_tokens = 64;
  std::int32_t vocabulary = 500;  ///< prompts are made of ids below it
  double temperature = 0;
  std::uint64_t silence_s = 90;
  std::vector<std::string> poison;  ///< INDEX:TOKEN: that request's prompt ends with that token
  bool margins = false;             ///< record how far each token's logit was above the next likely one's
  std::size_t scripted = 0;         ///< vocabulary of a scripted engine, whose tokens can be foretold; 0: cannot
  token_id avoid = -1;              ///< with it: no prompt is asked that a scripted engine answers with this token
};

std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27U) * 0x94d049bb133111ebULL;
  return x ^ x >> 31U;
}

std::int64_t nanoseconds(clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

/// True when a scripted engine's answer has that token.
bool answers_with(token_id token, std::vector<token_id> tokens, const load_options& options) {
  for (std::uint32_t i = 0; i < options.max_tokens; ++i) {
    tokens.push_back(scripted_executor::next_token(tokens, options.scripted));
    if (tokens.back() == token) return true;
  }
  return false;
}

std::vector<token_id> make_prompt(const load_options& options, std::uint64_t index) {
  auto random = mix(options.seed * 0x10001 + index);
  std::vector<token_id> tokens(options.prompt_tokens);
  do
    for (auto& token : tokens)
      token = static_cast<token_id>((random = mix(random)) % static_cast<std::uint64_t>(options.vocabulary));
  while (options.avoid >= 0 && answers_with(options.avoid, tokens, options));
  return tokens;
}

generation make_request(const load_options& options, std::uint64_t index) {
  generation what;
  what.prompt.kind = prompt_kind::tokens;
  what.prompt.tokens = make_prompt(options, index);
  for (const auto& poison : options.poison) {
    auto colon = poison.find(':');
    if (std::stoull(poison.substr(0, colon)) == index)
      what.prompt.tokens.back() = static_cast<token_id>(std::stol(poison.substr(colon + 1)));
  }
  what.stops.max_tokens = options.max_tokens;
  what.stops.ignore_eos = true;
  what.sampling.temperature = static_cast<float>(options.temperature);
  what.sampling.seed = index + 1;
  if (options.margins) what.sampling.logprobs = 2;
  return what;
}

/// True when the tokens are the beginning of what a scripted engine must give.
bool as_foretold(std::vector<token_id> tokens, const std::vector<token_id>& answer, std::size_t vocabulary) {
  for (auto token : answer) {
    if (scripted_executor::next_token(tokens, vocabulary) != token) return false;
    tokens.push_back(token);
  }
  return true;
}

/// One request from its submission to its end, as a line of the record.
nlohmann::ordered_json ask(client& cluster, const load_options& options, std::uint64_t index,
                           clock::time_point arrival) {
  auto what = make_request(options, index);
  auto prompt = what.prompt.tokens;
  auto begun = clock::now();
  nlohmann::ordered_json line{{"request", index}, {"arrival", nanoseconds(arrival)}, {"begun", nanoseconds(begun)}};
  std::vector<token_id> answer;
  auto pieces = nlohmann::json::array(), margins = nlohmann::json::array();
  bool in_order = true;
  try {
    auto stream = cluster.generate(std::move(what));
    line["accepted"] = nanoseconds(clock::now());
    stream.set_silence_limit(std::chrono::seconds(options.silence_s));
    while (auto event = stream.next()) {
      for (const auto& token : event->tokens) {
        in_order = in_order && token.position == answer.size();
        answer.push_back(token.token);
        if (token.top.size() > 1) margins.push_back(token.top[0].logprob - token.top[1].logprob);
      }
      if (!event->tokens.empty()) pieces.push_back({nanoseconds(clock::now()), event->tokens.size()});
      if (event->finish == finish_reason::none) continue;
      line["finish"] = to_string(event->finish);
      if (event->error_code.empty()) continue;
      line["error"] = event->error_code;
      line["sentence"] = event->error;
    }
  } catch (const client_error& error) {
    line[line.contains("accepted") ? "error" : "refused"] = error.code();
    line["sentence"] = error.what();
  }
  line["ended"] = nanoseconds(clock::now());
  line["in_order"] = in_order;
  if (options.scripted > 0) line["foretold"] = as_foretold(prompt, answer, options.scripted);
  line["pieces"] = std::move(pieces);
  if (options.margins) line["margins"] = std::move(margins);
  line["tokens"] = answer;
  return line;
}

/// Hands out the arrivals, in order and each at its time, until one of the bounds is reached.
class arrivals {
 public:
  explicit arrivals(const load_options& options) : options_(options), start_(clock::now()) {}

  std::optional<std::pair<std::uint64_t, clock::time_point>> next() {
    std::unique_lock lock{mutex_};
    auto index = taken_;
    auto at = clock::now();
    if (options_.rate > 0)
      at = start_ +
           std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(index) / options_.rate));
    if (stopped_ || at - start_ > std::chrono::duration<double>(options_.seconds)) return std::nullopt;
    if (options_.count > 0 && index >= options_.count) return std::nullopt;
    ++taken_;
    stop_.wait_until(lock, at, [this] { return stopped_; });
    return std::pair{index, at};
  }

  void stop() {
    std::lock_guard lock{mutex_};
    stopped_ = true;
    stop_.notify_all();
  }

 private:
  const load_options& options_;
  const clock::time_point start_;
  std::mutex mutex_;
  std::condition_variable stop_;
  std::uint64_t taken_ = 0;
  bool stopped_ = false;
};

int run(const load_options& options) {
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  system_config config;
  caf::actor_system system{config};
  std::vector<endpoint> doors;
  for (const auto& node : options.nodes) {
    auto address = parse_host_port(node);
    if (!address) throw std::invalid_argument("--node " + node + ": give HOST:PORT");
    doors.push_back({address->host, address->port});
  }
  auto cluster = client::connect(system, doors);
  std::printf("{\"ready\": %lld}\n", static_cast<long long>(nanoseconds(clock::now())));
  std::fflush(stdout);

  arrivals schedule{options};
  std::mutex output;
  std::atomic<unsigned> busy{options.users};
  std::vector<std::thread> users;
  for (unsigned user = 0; user < options.users; ++user)
    users.emplace_back([&] {
      while (auto next = schedule.next()) {
        auto line = ask(cluster, options, next->first, next->second).dump();
        std::lock_guard lock{output};
        std::puts(line.c_str());
        std::fflush(stdout);
      }
      if (--busy == 0) kill(getpid(), SIGTERM);  // all is done: the wait below ends
    });
  int signal = 0;
  sigwait(&stop_signals, &signal);
  schedule.stop();  // what was begun is finished
  for (auto& user : users)
    user.join();
  std::fflush(stdout);
  _exit(0);  // handles to nodes that are gone would be waited for
}

}  // namespace
}  // namespace troupe

int main(int argc, char** argv) {
  troupe::load_options options;
  CLI::App program{"Users of a cluster, for the tests that break it"};
  program.add_option("--node", options.nodes, "HOST:PORT of a node; several are tried in turn")->required();
  program.add_option("--users", options.users)->check(CLI::Range(1, 2000));
  program.add_option("--rate", options.rate);
  program.add_option("--seconds", options.seconds);
  program.add_option("--count", options.count);
  program.add_option("--seed", options.seed);
  program.add_option("--prompt-tokens", options.prompt_tokens)->check(CLI::Range(1, 100000));
  program.add_option("--max-tokens", options.max_tokens);
  program.add_option("--vocabulary", options.vocabulary);
  program.add_option("--temperature", options.temperature);
  program.add_option("--silence", options.silence_s);
  program.add_option("--poison", options.poison);
  program.add_flag("--margins", options.margins);
  auto* scripted = program.add_option("--scripted", options.scripted);
  program.add_option("--avoid", options.avoid)->needs(scripted);
  CLI11_PARSE(program, argc, argv);
  try {
    return troupe::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load_client: error: %s\n", error.what());
    return 1;
  }
}
