// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/routes.hpp"

namespace troupe {

http_route find_route(std::string_view target) {
  constexpr std::string_view models = "/v1/models/";
  target = target.substr(0, target.find('?'));
  if (target == "/v1/chat/completions") return {route_kind::chat, {}};
  if (target == "/v1/completions") return {route_kind::completions, {}};
  if (target == "/v1/models") return {route_kind::models, {}};
  if (target.starts_with(models) && target.size() > models.size())
    return {route_kind::models, target.substr(models.size())};
  if (target == "/health" || target == "/ready") return {route_kind::health, {}};
  if (target == "/live") return {route_kind::live, {}};
  if (target == "/metrics") return {route_kind::metrics, {}};
  return {};
}

}  // namespace troupe
