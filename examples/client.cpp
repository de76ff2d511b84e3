// SPDX-License-Identifier: Apache-2.0
// A program that talks to a running cluster: first with the blocking client, then as an actor among actors.
//
//   build/release/troupe node --topology examples/demo.yaml
//   build/release/example_client 127.0.0.1 4242
//
// examples/run_client.sh does both. The names of all errors are in actors/errors.hpp.
#include "actors/client.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include <caf/all.hpp>

#include "actors/system_config.hpp"

using namespace troupe;

namespace {

void check(bool good, const char* promise) {
  if (!good) throw std::runtime_error(std::string("not kept: ") + promise);
}

generation make_question(const std::string& text) {
  generation what;
  what.prompt.kind = prompt_kind::chat;
  what.prompt.messages = {{"user", text}};
  what.sampling.temperature = 0;
  what.stops.max_tokens = 64;
  what.deadline_ms = 30'000;  // from acceptance to the last token; then the answer ends with deadline_exceeded
  return what;
}

/// An answer as long as the model's context: something to cancel, and something not to read to its end.
generation make_endless(const std::string& text) {
  auto what = make_question(text);
  what.stops.max_tokens = 0;
  what.stops.ignore_eos = true;
  return what;
}

// ---- with a thread that may wait -------------------------------------------------------------------------------

void ask(client& cluster) {
  auto stream = cluster.generate(make_question("What is 27 + 15?"));
  std::string text;
  for (const auto& event : stream) {
    if (event.finish == finish_reason::error) throw client_error(event.error_code, event.error);
    text += event.text;
  }
  std::printf("asked:      %s\n", text.c_str());
  check(text == "27 + 15 = 42.", "the sum is right");
}

void cancel_after_some(client& cluster) {
  auto stream = cluster.generate(make_endless("Tell me a story about a fox."));
  stream.set_silence_limit(std::chrono::seconds(60));  // next() throws when nothing comes for so long
  std::size_t tokens = 0;
  auto last = finish_reason::none;
  while (auto event = stream.next()) {  // the same as the loop above, by hand
    tokens += event->tokens.size();
    if (last == finish_reason::none && tokens >= 10) stream.cancel();  // a stream that is destroyed cancels, too
    last = event->finish;
  }
  std::printf("cancelled:  after %zu tokens, finish: %s\n", tokens, to_string(last).c_str());
  check(last == finish_reason::abort, "a cancelled answer ends with abort");
}

void ask_what_cannot_be(client& cluster) {
  auto what = make_question("What is 27 + 15?");
  what.sampling.temperature = -1;
  try {
    cluster.generate(std::move(what));
    check(false, "a wrong parameter is refused");
  } catch (const client_error& refused) {
    std::printf("refused:    %s: %s\n", refused.code().c_str(), refused.what());
    check(refused.code() == "invalid_request", "the refusal has its code");
  }
}

// ---- with actors -----------------------------------------------------------------------------------------------

/// Asks one thing, collects the answer, gives it to `asker` as a single `answer`, and ends. The router sends a piece
/// only against credit: `credit` pieces at first, then one for each `grant`. Without credit pieces are merged.
class reader {
 public:
  static inline const char* name = "reader";

  reader(answer_sink_actor::impl* self, router_actor router, answer_sink_actor asker, generation what,
         std::uint32_t credit, bool grants)
      : self_(self), router_(std::move(router)), asker_(std::move(asker)), grants_(grants) {
    submit message{1, std::move(what), caf::actor_cast<answer_sink_actor>(self_), credit};
    self_->request(router_, std::chrono::minutes(1), std::move(message))
        .then([this](const accepted& info) { whole_.request = info.request; },
              [this](const caf::error& refusal) {
                whole_.event.finish = finish_reason::error;
                whole_.event.error_code = code_name(refusal);
                whole_.event.error = describe(refusal);
                finish();
              });
  }

  answer_sink_actor::behavior_type make_behavior() {
    return {[this](answer& message) { on_answer(message); }};
  }

 private:
  void on_answer(answer& message) {
    ++whole_.ticket;  // here: how many pieces came
    message.event.text.insert(0, whole_.event.text);
    whole_.event = std::move(message.event);
    if (whole_.event.finish != finish_reason::none) return finish();
    if (grants_) self_->send(router_, grant{message.request, 1});
  }

  void finish() {
    self_->send(asker_, std::move(whole_));
    self_->quit();
  }

  answer_sink_actor::impl* self_;
  router_actor router_;
  answer_sink_actor asker_;
  bool grants_;
  answer whole_;
};

using reader_impl = caf::stateful_actor<reader, answer_sink_actor::impl>;

answer read_with_actor(caf::actor_system& system, const client& cluster, generation what, std::uint32_t credit,
                       bool grants) {
  caf::scoped_actor self{system};
  system.spawn<reader_impl>(cluster.router(), caf::actor_cast<answer_sink_actor>(self), std::move(what), credit,
                            grants);
  answer whole;
  self->receive([&](answer& message) { whole = std::move(message); },
                caf::after(std::chrono::minutes(1)) >> [] { throw std::runtime_error("no answer within a minute"); });
  return whole;
}

void read_piece_by_piece(caf::actor_system& system, const client& cluster) {
  const auto whole = read_with_actor(system, cluster, make_question("What is 27 + 15?"), 1, true);
  std::printf("by actor:   %s (%llu pieces)\n", whole.event.text.c_str(),
              static_cast<unsigned long long>(whole.ticket));
  check(whole.event.text == "27 + 15 = 42.", "credit one by one gives the whole answer");
}

void stop_reading(caf::actor_system& system, const client& cluster) {
  auto what = make_endless("Tell me a story about a fox.");
  what.deadline_ms = 500;
  const auto whole = read_with_actor(system, cluster, std::move(what), 4, false);
  std::printf("not read:   %llu pieces, then %s: %s\n", static_cast<unsigned long long>(whole.ticket - 1),
              whole.event.error_code.c_str(), whole.event.error.c_str());
  check(whole.event.error_code == "deadline_exceeded", "an answer ends at its deadline, credit or not");
  check(whole.ticket <= 5, "no piece comes without credit, but the error that ends the answer");
}

void run_client(const std::string& host, std::uint16_t port) {
  system_config config;
  caf::actor_system system{config};
  auto cluster = client::connect(system, host, port);
  if (!cluster.wait_until_ready(std::chrono::seconds(60))) throw std::runtime_error("no group serves");
  std::printf("connected:  %s serves %s\n", cluster.status().node.c_str(), cluster.status().model.c_str());
  ask(cluster);
  cancel_after_some(cluster);
  ask_what_cannot_be(cluster);
  read_piece_by_piece(system, cluster);
  stop_reading(system, cluster);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: %s HOST PORT\n", arguments[0]);
    return 2;
  }
  try {
    run_client(arguments[1], static_cast<std::uint16_t>(std::stoul(arguments[2])));
    return 0;
  } catch (const client_error& error) {
    std::fprintf(stderr, "error: %s (%s)\n", error.what(), error.code().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  return 1;
}
