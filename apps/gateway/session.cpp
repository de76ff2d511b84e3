// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/session.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include <boost/beast/core/string.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/sha.h>

#include "apps/gateway/completion_exchange.hpp"
#include "apps/gateway/routes.hpp"

namespace troupe {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

nlohmann::ordered_json model_card(const served_model& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created_s},
          {"owned_by", "troupe"},
          {"max_model_len", model.context}};
}

std::string dump(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// The same for the same client and name at every gateway; another client's names are others.
request_key name_of_client(std::string_view authorization, std::string_view name) {
  std::string text{authorization};
  text.append(1, '\0').append(name);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  request_key key;
  std::memcpy(&key, digest.data(), sizeof key);
  key.low |= 1U;
  return key;
}

/// The key of an Authorization field; empty when it has none.
std::string_view key_in(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  return authorization.starts_with(scheme) ? authorization.substr(scheme.size()) : std::string_view{};
}

bool is_json(std::string_view type) {
  const auto end = type.find_first_of("; ");
  return boost::beast::iequals(boost::beast::string_view(type.substr(0, end).data(), std::min(end, type.size())),
                               "application/json");
}

}  // namespace

session::session(connection::tcp::socket socket, const gateway_options& options, completion_service& service,
                 std::vector<key_meter>& meters)
    : options_(options),
      service_(service),
      meters_(meters),
      client_(std::make_shared<connection>(std::move(socket), options.limits)) {}

void session::drain() {
  draining_ = true;
  client_->wake();
}

void session::abort() { client_->close(); }

void session::log(const std::string& line) const {
  if (options_.log) options_.log(line);
}

asio::awaitable<void> session::run() {
  for (bool open = true; open;) {
    // Each co_await is a statement of its own: g++ 12 gets some of them wrong inside a condition.
    const bool came = co_await wait_for_request();
    if (!came) break;
    auto got = co_await read_http_request(*client_, options_.limits,
                                          [this](const http_header& header) { return check_header(header); });
    if (std::holds_alternative<http_silence>(got)) break;
    if (auto* error = std::get_if<api_error>(&got)) {
      reply_error(*error, {.keep_alive = false});
      log(fmt::format("http-refused code={}", error->code));
      co_await client_->flush();
      break;
    }
    open = co_await handle(std::move(std::get<http_request>(got)));
  }
  co_await client_->linger();
}

asio::awaitable<bool> session::wait_for_request() {
  const auto deadline = connection::clock::now() + options_.limits.idle_time;
  while (client_->input().empty()) {
    if (draining_ || client_->peer_gone()) co_return false;
    co_await client_->wait(deadline);
    if (connection::clock::now() >= deadline) co_return false;
  }
  co_return !draining_;
}

std::optional<api_error> session::check_header(const http_header& header) {
  const auto route = find_route(view(header.target()));
  if (route.needs_key() && !options_.keys.empty()) {
    if (!options_.keys.contains(key_in(view(header[http::field::authorization]))))
      return api_error{"invalid_api_key", "the API key is missing or wrong; send Authorization: Bearer KEY", ""};
  }
  if (route.what == route_kind::unknown)
    return api_error{
        "not_found",
        fmt::format("there is no {}; there are /v1/chat/completions, /v1/completions, /v1/models, /health and "
                    "/metrics",
                    view(header.target()).substr(0, 128)),
        ""};
  const bool right = route.wants_body() ? header.method() == http::verb::post
                                        : header.method() == http::verb::get || header.method() == http::verb::head;
  if (!right)
    return api_error{"method_not_allowed",
                     fmt::format("{} is not for {}; use {}", view(header.method_string()).substr(0, 32),
                                 view(header.target()).substr(0, 128), route.wants_body() ? "POST" : "GET"),
                     ""};
  // A browser sends other types across origins without asking first, so this also keeps web pages out.
  if (route.wants_body() && !is_json(view(header[http::field::content_type])))
    return api_error{"unsupported_media_type", "the content type is not JSON; send Content-Type: application/json", ""};
  return std::nullopt;
}

asio::awaitable<bool> session::handle(http_request request) {
  reply_style style;
  style.keep_alive = request.keep_alive() && !draining_;
  style.chunked = request.version() >= 11;
  style.head_only = request.method() == http::verb::head;
  const auto route = find_route(view(request.target()));
  bool open = style.keep_alive;
  if (route.what == route_kind::chat || route.what == route_kind::completions) {
    style.request_id = to_string(make_request_key());
    const auto api = route.what == route_kind::chat ? completion_api::chat : completion_api::text;
    const bool whole = co_await complete(api, request, style);
    open = whole && style.keep_alive;
  } else if (route.what == route_kind::models) {
    reply_models(route.name, style);
  } else if (route.what == route_kind::metrics) {
    style.content_type = "text/plain; version=0.0.4";
    reply(200, service_.metrics(), style);
  } else {
    reply_health(route.what == route_kind::live, style);
  }
  const bool written = co_await client_->flush();
  co_return open&& written;
}

asio::awaitable<bool> session::complete(completion_api api, const http_request& request, reply_style style) {
  const auto model = service_.model();
  auto named = name_request(request);
  if (auto* error = std::get_if<api_error>(&named)) {
    reply_error(*error, style);
    co_return true;
  }
  auto& name = std::get<completion_name>(named);
  style.request_id = style.key = to_string(name.from.key);
  style.contract = model.contract;
  auto parsed = parse_completion_request(api, request.body(), model, seed_of(name.from.key));
  if (auto* error = std::get_if<api_error>(&parsed)) {
    reply_error(*error, style);
    log(fmt::format("http-refused request={} code={} param={}", style.request_id, error->code, error->param));
    co_return true;
  }
  auto& checked = std::get<completion_request>(parsed);
  if (!name.from.choices.empty() && (!checked.stream || name.from.choices.size() != checked.generations.size())) {
    reply_error({"invalid_value",
                 fmt::format("Last-Event-ID is of a stream of {} answers; post the body that began it",
                             name.from.choices.size()),
                 "Last-Event-ID"},
                style);
    co_return true;
  }
  std::optional<metered_request> metered;
  if (auto* meter = meter_of(request)) {
    if (auto over = meter->begin(connection::clock::now())) {
      reply_error(*over, style);
      log(fmt::format("http-refused request={} code={}", style.request_id, over->code));
      co_return true;
    }
    metered.emplace(*meter);
  }
  // HTTP/1.0 knows no chunks: the end of the connection is then the end of the stream.
  if (checked.stream && !style.chunked) style.keep_alive = false;
  reply_context context;
  context.api = api;
  context.id = (api == completion_api::chat ? "chatcmpl-" : "cmpl-") + style.key;
  context.created_s = now_s();
  context.model = model.name;
  context.logprobs = checked.wants_logprobs();
  context.include_usage = checked.include_usage;
  context.token_bytes = [this](token_id token) { return service_.token_bytes(token); };
  completion_exchange exchange(*client_, service_, options_.limits, std::move(checked), std::move(name),
                               std::move(context), style);
  const auto outcome = co_await exchange.run();
  if (metered) metered->tokens = outcome.tokens;
  log(fmt::format("http-completion request={} ended={} prompt-tokens={} completion-tokens={}", style.request_id,
                  outcome.ended, outcome.used.prompt_tokens, outcome.used.completion_tokens));
  co_return outcome.keep_alive;
}

key_meter* session::meter_of(const http_request& request) {
  const auto number = options_.keys.find(key_in(view(request[http::field::authorization])));
  return number ? &meters_.at(*number) : nullptr;
}

/// The client's own name for its request (Idempotency-Key), or that of a stream it takes up again (Last-Event-ID), or a
/// new one.
std::variant<completion_name, api_error> session::name_request(const http_request& request) const {
  completion_name name;
  const auto given = view(request["Idempotency-Key"]);
  if (given.size() > 255)
    return api_error{"invalid_value", "Idempotency-Key has more than 255 bytes; give a shorter one", "Idempotency-Key"};
  name.may_return = !given.empty();
  name.from.key = given.empty() ? make_request_key() : name_of_client(view(request[http::field::authorization]), given);
  const auto last = view(request["Last-Event-ID"]);
  if (last.empty()) return name;
  auto position = parse_stream_position(last);
  if (!position || (!given.empty() && position->key != name.from.key))
    return api_error{"invalid_value",
                     "Last-Event-ID is not the id of an event of this stream; leave it out to begin anew",
                     "Last-Event-ID"};
  name.from = std::move(*position);
  return name;
}

void session::reply(int status, const std::string& body, const reply_style& style) {
  client_->send(format_http_reply(status, body, style));
}

void session::reply_error(const api_error& error, const reply_style& style) {
  client_->send(format_http_error(error, style));
}

void session::reply_models(std::string_view name, const reply_style& style) {
  const auto model = service_.model();
  if (name.empty()) return reply(200, dump({{"object", "list"}, {"data", {model_card(model)}}}), style);
  if (name == model.name) return reply(200, dump(model_card(model)), style);
  reply_error(
      {"model_not_found",
       fmt::format("the model {} does not exist; this server serves {}", name.substr(0, 128), model.name), "model"},
      style);
}

void session::reply_health(bool live, const reply_style& style) {
  const auto health = service_.health();
  const bool ready = health.ready && !draining_;
  const nlohmann::ordered_json body{{"status", ready ? "ok" : "unavailable"},
                                    {"state", draining_ ? "draining" : health.state},
                                    {"detail", health.detail},
                                    {"model", service_.model().name}};
  reply(live || ready ? 200 : 503, dump(body), style);
}

}  // namespace troupe
