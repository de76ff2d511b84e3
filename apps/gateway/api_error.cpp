// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/api_error.hpp"

#include <nlohmann/json.hpp>

namespace troupe {

namespace {

constexpr std::string_view invalid = "invalid_request_error";
constexpr std::string_view server = "server_error";

struct table_row {
  std::string_view code;
  error_status status;
};

/// First the codes of actors/errors.hpp, then the gateway's own.
constexpr table_row table[] = {
    {"invalid_request", {400, invalid, 0}},
    {"context_length_exceeded", {400, invalid, 0}},
    {"text_failed", {400, invalid, 0}},
    {"cancelled", {400, invalid, 0}},
    {"model_not_found", {404, invalid, 0}},
    {"unknown_request", {404, invalid, 0}},
    {"client_too_slow", {408, invalid, 0}},
    {"superseded", {409, invalid, 0}},
    {"poison", {422, invalid, 0}},
    {"inconsistent", {500, server, 0}},
    {"queue_full", {503, server, 1}},
    {"not_ready", {503, server, 2}},
    {"rank_lost", {503, server, 2}},
    {"stale_epoch", {503, server, 1}},
    {"draining", {503, server, 5}},
    {"deadline_exceeded", {504, server, 1}},
    {"engine_failed", {500, server, 0}},
    {"incompatible", {500, server, 0}},

    {"invalid_value", {400, invalid, 0}},
    {"invalid_type", {400, invalid, 0}},
    {"missing_field", {400, invalid, 0}},
    {"unknown_field", {400, invalid, 0}},
    {"unsupported_field", {400, invalid, 0}},
    {"invalid_json", {400, invalid, 0}},
    {"invalid_http", {400, invalid, 0}},
    {"empty_prompt", {400, invalid, 0}},
    {"unknown_token", {400, invalid, 0}},
    {"invalid_api_key", {401, "authentication_error", 0}},
    {"not_found", {404, invalid, 0}},
    {"method_not_allowed", {405, invalid, 0}},
    {"request_timeout", {408, invalid, 0}},
    {"body_too_large", {413, invalid, 0}},
    {"unsupported_media_type", {415, invalid, 0}},
    {"header_too_large", {431, invalid, 0}},
    {"rate_limit_exceeded", {429, "rate_limit_error", 1}},
    {"too_many_connections", {429, "rate_limit_error", 1}},
    {"overloaded", {503, server, 1}},
    {"aborted", {503, server, 1}},
    {"response_too_large", {500, server, 0}},
    {"internal", {500, server, 0}},
};

}  // namespace

error_status describe_error(std::string_view code) {
  for (const auto& row : table)
    if (row.code == code) return row.status;
  return {};
}

std::string to_json(const api_error& error) {
  const nlohmann::json param = error.param.empty() ? nlohmann::json() : nlohmann::json(error.param);
  const nlohmann::json out{{"error",
                            {{"message", error.message},
                             {"type", describe_error(error.code).type},
                             {"param", param},
                             {"code", error.code}}}};
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace troupe
