variable "client" {
  description = "Name of the client, for example \"client-a\". With the stage it names the workspace."
  type        = string
  nullable    = false
}

variable "stage" {
  description = "Stage of the environment: dev, staging or prod. It has no hyphen, so that \"<client>-<stage>\" can be split."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.stage))
    error_message = "The stage is made of lower-case letters and digits, for example \"prod\"."
  }
}

variable "workspace" {
  description = "The workspace that must be \"<client>-<stage>\". Set it only in tests. Default: the selected workspace, which is always \"default\" in `terraform test`."
  type        = string
  default     = null
}

variable "cluster" {
  description = "The cluster, by the name of a kubeconfig context or as an Amazon EKS cluster. Exactly one of the two."
  type = object({
    context = optional(string)
    eks = optional(object({
      name       = string
      region     = string
      account_id = string
      role_arn   = optional(string)
    }))
  })
  nullable = false

  # Terraform silently drops arguments that an object type does not have, so this reports a misspelled one.
  validation {
    condition     = (var.cluster.context != null) != (var.cluster.eks != null)
    error_message = "Set either cluster.context or cluster.eks."
  }
}

variable "namespace" {
  description = "The client's namespace, for example \"data-collection-client-a\". It belongs to the environment permanently."
  type        = string
  nullable    = false
}

variable "deletion_protection" {
  description = "Refuse to destroy the environment while this is true."
  type        = bool
  default     = true
  nullable    = false
}

variable "allow_cluster_move" {
  description = "UID of the cluster to which the client may move. The error about another cluster names it. Unset it after the move."
  type        = string
  default     = null
}

variable "release_name" {
  description = "Name of the Helm release. Null takes the chart's name."
  type        = string
  default     = null
}

variable "chart" {
  description = "The Helm chart: a path, or name and exact version in a repository (https:// or oci://)."
  type = object({
    path       = optional(string)
    repository = optional(string)
    name       = optional(string)
    version    = optional(string)
  })
  nullable = false

  validation {
    condition = (
      var.chart.path != null
      ? alltrue([for v in [var.chart.repository, var.chart.name, var.chart.version] : v == null])
      : alltrue([for v in [var.chart.repository, var.chart.name, var.chart.version] : v != null])
    )
    error_message = "Set either chart.path, or chart.repository, chart.name and chart.version together."
  }
}

variable "app_version" {
  description = "Version of the application, a SemVer tag such as \"v1.2.0\". It is written into the chart's values at image.tag."
  type        = string
  nullable    = false
}

variable "values_files" {
  description = "Helm values files. Later files override earlier ones."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "values" {
  description = "Public Helm values that override the files. Reviewers see every leaf, so do not put secrets here."
  type        = any
  default     = {}
}

variable "sensitive_values" {
  description = "Helm values that plans hide. The state contains them; prefer secret_values."
  type        = any
  default     = null
  sensitive   = true
}

variable "secret_values" {
  description = "Helm values that neither the plan nor the state contains. Increase secret_values_version when they change."
  type        = any
  default     = null
  ephemeral   = true
}

variable "secret_values_version" {
  description = "A number. Increase it when secret_values change, because Terraform cannot compare values that it does not store."
  type        = number
  default     = null
}

variable "verified" {
  description = "Verify new versions, and roll back automatically when verification fails. Default: in every stage except dev."
  type        = bool
  default     = null
}

variable "smoke_tests" {
  description = "Tests of a new version, in order: the chart's own (helm_test), a GET request to a Service in the namespace (http), or a Job. Each test has exactly one of the three."
  type = list(object({
    name      = string
    timeout   = optional(string)
    helm_test = optional(bool, false)
    http = optional(object({
      service  = string
      port     = string
      path     = optional(string)
      contains = optional(string)
    }))
    job = optional(object({
      image   = string
      command = optional(list(string))
      args    = optional(list(string))
    }))
  }))
  default  = [{ name = "helm-test", helm_test = true }]
  nullable = false

  validation {
    condition     = alltrue([for t in var.smoke_tests : (t.helm_test ? 1 : 0) + length(t.http[*]) + length(t.job[*]) == 1])
    error_message = "Each smoke test has exactly one of helm_test = true, http and job."
  }
}

variable "prometheus" {
  description = "The Prometheus with the service's error rate: a Service in the client's cluster, reached through the API server, or a url. Null: the analysis covers only health checks."
  type = object({
    namespace = optional(string, "monitoring")
    name      = optional(string, "prometheus")
    port      = optional(string, "9090")
    url       = optional(string)
  })
  default = null
}

variable "analysis" {
  description = "Analysis of a new version. Defaults depend on the stage: in prod, the analysis takes 10 minutes, and an error rate above 5% for 2 minutes or more than 3 failed health checks in a row fail it. If error_rate has max_ratio or max_difference, a canary is also compared with stable. If sample_ratio is true, its share of the requests is compared with its weight. In the queries, {{window}} is replaced by error_rate.window, {{canary}} by the canary's release, and {{namespace}}, {{release}}, {{version}}, {{client}} and {{stage}} by those of the release."
  type = object({
    initial_delay        = optional(string)
    duration             = optional(string)
    interval             = optional(string, "10s")
    on_inconclusive      = optional(string)
    consecutive_failures = optional(number, 3)
    error_rate = optional(object({
      # Without `or vector(0)`, a service without errors has no error rate.
      query          = optional(string, "(sum(rate(http_requests_total{namespace='{{namespace}}',code=~'5..'}[{{window}}])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}'}[{{window}}]))")
      requests_query = optional(string, "sum(increase(http_requests_total{namespace='{{namespace}}'}[{{window}}]))")
      # The canary's pods only, by their label pod.
      canary_query          = optional(string, "(sum(rate(http_requests_total{namespace='{{namespace}}',pod=~'{{canary}}-.+',code=~'5..'}[{{window}}])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}',pod=~'{{canary}}-.+'}[{{window}}]))")
      canary_requests_query = optional(string, "sum(increase(http_requests_total{namespace='{{namespace}}',pod=~'{{canary}}-.+'}[{{window}}]))")
      # The comparison group of a canary: the pods that are not its own.
      stable_query          = optional(string, "(sum(rate(http_requests_total{namespace='{{namespace}}',pod!~'{{canary}}-.+',code=~'5..'}[{{window}}])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}',pod!~'{{canary}}-.+'}[{{window}}]))")
      stable_requests_query = optional(string, "sum(increase(http_requests_total{namespace='{{namespace}}',pod!~'{{canary}}-.+'}[{{window}}]))")
      max_ratio             = optional(number)
      max_difference        = optional(number)
      window                = optional(string, "1m")
      above                 = optional(number, 0.05)
      lasting               = optional(string)
      min_requests          = optional(number)
    }), {})
    # Compares the share of the requests that reach a canary with its weight.
    sample_ratio = optional(bool, false)
  })
  default  = {}
  nullable = false
}

variable "acceptance" {
  description = "A Job that runs last. If it fails, the version is refused. Null: none."
  type = object({
    image   = string
    command = optional(list(string))
    args    = optional(list(string))
    env     = optional(map(string))
    timeout = optional(string, "5m")
  })
  default = null
}

variable "rollback" {
  description = "How a failed version is rolled back. Null: it stays, and the apply fails."
  type = object({
    timeout    = optional(string)
    validation = optional(string)
    quarantine = optional(string)
  })
  default = {}
}

variable "retry_token" {
  description = "Any text. Changing it releases a failed version from quarantine."
  type        = string
  default     = null
}

variable "timeouts" {
  description = "How long a create, update or delete of the release may take, as durations such as \"10m\"."
  type = object({
    create = optional(string, "10m")
    update = optional(string, "10m")
    delete = optional(string, "10m")
  })
  default  = {}
  nullable = false
}

variable "database" {
  description = "The PostgreSQL server for the client's own database, see slipway_database. Null: no database. The administrator's password is database_admin_password, or the environment variable SLIPWAY_DATABASE_ADMIN_PASSWORD, which a destroy needs."
  type = object({
    host             = string
    port             = optional(number, 5432)
    name             = optional(string) # <client>-<stage>-db
    sslmode          = optional(string)
    ca_certificate   = optional(string)
    admin_user       = optional(string)
    connection_limit = optional(number)
    extensions       = optional(list(string))
    password_version = optional(number, 1)
  })
  default = null
}

variable "database_admin_password" {
  description = "Password of the server's administrator. It is never stored."
  type        = string
  default     = null
  ephemeral   = true
}

variable "migrations" {
  description = "SQL migrations of the client's database, see slipway_migration. Files that say \"-- slipway:kind contract\" run after the release, when no version before safe_after can be restored and the current version has been known-good for soak (default: 24h in prod, otherwise none); without safe_after they do not run. Null: none."
  type = object({
    directory        = string
    postgres_version = optional(number)
    safe_after       = optional(string)
    soak             = optional(string)
    image            = optional(string)
  })
  default = null

  validation {
    condition     = var.migrations == null || var.database != null
    error_message = "Migrations need a database."
  }
}

variable "strategy" {
  description = "Rollout of a new version: \"rolling\" replaces the pods one after the other; \"canary\" starts it next to the old version and sends it a share of the calls; \"blue_green\" starts it next to the old version and switches."
  type        = string
  default     = "rolling"
  nullable    = false

  validation {
    condition     = contains(["rolling", "canary", "blue_green"], var.strategy)
    error_message = "The strategy is \"rolling\", \"canary\" or \"blue_green\"."
  }
}

variable "blue_green" {
  description = "For strategy \"blue_green\": active is the live color. Blue runs app_version, and green runs the version given here; null: there is no green. Set the strategy in a separate apply before the first green. keep_previous is how long the other color stays scaled, and preview how long the new color is analyzed before the switch."
  type = object({
    active        = optional(string, "blue")
    green         = optional(string)
    keep_previous = optional(string)
    preview       = optional(string)
    timeouts = optional(object({
      create = optional(string)
      update = optional(string)
      delete = optional(string)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["blue", "green"], var.blue_green.active)
    error_message = "The live color is \"blue\" or \"green\"."
  }
}

variable "canary" {
  description = "For strategy \"canary\": version is the canary's version; null: there is no canary. weight is its percentage of the calls, steps are intermediate weights with an analysis each, and calls with one of the headers always go to it. Set the strategy in a separate apply before the first canary. istio names the route, and data_plane what divides its requests where that cannot be seen, see slipway_canary."
  type = object({
    version = optional(string)
    weight  = optional(number, 0)
    headers = optional(map(string), { canary = "true" })
    steps   = optional(list(object({ weight = number, pause = optional(string) })), [])
    istio = optional(object({
      hosts           = optional(list(string))
      gateways        = optional(list(string))
      virtual_service = optional(string)
      route           = optional(string)
    }), {})
    data_plane = optional(string)
    timeouts = optional(object({
      create = optional(string)
      update = optional(string)
      delete = optional(string)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.canary.weight >= 0 && var.canary.weight <= 100 && floor(var.canary.weight) == var.canary.weight
    error_message = "The weight is a whole percentage, 0 to 100."
  }

  validation {
    condition     = var.canary.version != null || var.canary.weight == 0
    error_message = "A canary without a version cannot have a share of the calls: set canary.version, or leave canary.weight out."
  }

  validation {
    condition     = var.canary.version == null || var.strategy == "canary"
    error_message = "A canary needs strategy = \"canary\"."
  }
}
