#include "machineconfig/docs/format_pattern.h"

namespace basalt::docs {

absl::string_view PatternOf(v1::Format format) {
  switch (format) {
    case v1::FORMAT_DURATION:
      return "^(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ms|[hms]))+$";
    case v1::FORMAT_QUANTITY:
      return "^[0-9]+([kMGT]|[KMGT]i)?$";
    case v1::FORMAT_CIDR:
      return "^[0-9A-Fa-f:.]+/[0-9]{1,3}$";
    case v1::FORMAT_IP:
      return "^[0-9A-Fa-f:.]+$";
    case v1::FORMAT_HOSTNAME:
      return "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
    case v1::FORMAT_DNS_NAME:
      return "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
    case v1::FORMAT_URL:
      return "^(https?://|file:///)[^\\s#]+$";
    case v1::FORMAT_HTTPS_URL:
      return "^https://[^\\s#]+$";
    case v1::FORMAT_HOST_PORT:
      return "^[^\\s/]*:[1-9][0-9]{0,4}$";
    case v1::FORMAT_TIMESTAMP:
      return "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?Z$";
    case v1::FORMAT_SHA256:
      return "^[0-9a-f]{64}$";
    case v1::FORMAT_DIGEST:
      return "^sha256:[0-9a-f]{64}$";
    case v1::FORMAT_PEM_CERTS:
      return "-----BEGIN CERTIFICATE-----";
    case v1::FORMAT_PUBLIC_KEY:
      return "^\\s*(-----BEGIN PUBLIC KEY-----|ssh-ed25519\\s|ecdsa-sha2-nistp256\\s|"
             "sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\\.com\\s|"
             "RW[A-Za-z0-9+/]{54})";
    case v1::FORMAT_K3S_VERSION:
      return "^v[0-9]+\\.[0-9]+\\.[0-9]+(-rc[0-9]+)?\\+k3s[0-9]+$";
    case v1::FORMAT_LABEL_KEY:
      return "^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$";
    case v1::FORMAT_LABEL_VALUE:
      return "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$";
    case v1::FORMAT_TAINT:
      return "^[^\\s:]+:(NoSchedule|PreferNoSchedule|NoExecute)$";
    case v1::FORMAT_FILE_NAME:
      return "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$";
    case v1::FORMAT_CRON:
      return "^\\s*\\S+(\\s+\\S+){4}\\s*$";
    case v1::FORMAT_ENV_NAME:
      return "^[A-Za-z_][A-Za-z0-9_]{0,127}$";
    case v1::FORMAT_IP_OR_DNS:
      return "^([0-9A-Fa-f:.]+|[a-z0-9.-]+)$";
    case v1::FORMAT_IP_PREFIX:
      return "^[0-9A-Fa-f:.]+/[0-9]{1,3}$";
    case v1::FORMAT_MAC:
      return "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$";
    case v1::FORMAT_INTERFACE:
      return "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$";
    case v1::FORMAT_ROUTE:
      return "^(default|[0-9A-Fa-f:.]+/[0-9]{1,3})$";
    case v1::FORMAT_PORTS:
      return "^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$";
    case v1::FORMAT_WIREGUARD_KEY:
      return "^[A-Za-z0-9+/]{43}=$";
    case v1::FORMAT_SYSCTL:
      return "^(abi|crypto|debug|dev|fs|kernel|net|sunrpc|user|vm)(\\.[A-Za-z0-9_:@/-]+)+$";
    case v1::FORMAT_LINE:
      return "^[^\\x00-\\x1f\\x7f]*$";
    case v1::FORMAT_KERNEL_ARGUMENT:
      return "^[A-Za-z0-9_.][A-Za-z0-9_.-]*(=[^\\s\"'\\\\]*)?$";
    case v1::FORMAT_MODULE:
      return "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$";
    case v1::FORMAT_PATH:
      return "^(/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+$";
    case v1::FORMAT_TIME_OF_DAY:
      return "^([01][0-9]|2[0-3]):[0-5][0-9]$";
    case v1::FORMAT_TIME_ZONE:
      return "^(UTC|[A-Z][a-z]+/[A-Za-z0-9_+/-]+)$";
    case v1::FORMAT_SINK_URL:
      return "^(https?://[^\\s#]+|syslog\\+(tls|tcp|udp)://[^\\s/]+:[1-9][0-9]{0,4})$";
    default:
      return "";
  }
}

}  // namespace basalt::docs
