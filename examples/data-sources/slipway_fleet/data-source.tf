# The production environments of the first two waves.
data "slipway_fleet" "first" {
  directory = "${path.root}/clients"
  select    = "stage=prod,ring in (canary, early)"
}

# A typed map for for_each: here one role per environment.
output "accounts" {
  value = { for name, e in data.slipway_fleet.first.environments : name => e.facts["account_id"] }
}

output "order" {
  value = [for wave in data.slipway_fleet.first.waves : wave.name]
}
