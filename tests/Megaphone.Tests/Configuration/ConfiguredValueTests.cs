using Megaphone.Operator;
using Xunit;

namespace Megaphone.Tests.Configuration;

/// <summary>What an operator is told of the configuration.</summary>
public class ConfiguredValueTests
{
    [Fact]
    public void Each_value_is_told_with_its_source_and_no_secret_is()
    {
        IReadOnlyList<ConfiguredValue> values = Configured.Right(
            """
            {
              "Ecm": { "MaxClients": 5, "Proxy": "v1", "Limits": { "Deny": [ "10.0.0.0/8", "192.0.2.0/24" ] } },
              "Hub": { "Secret": "not to be told" }
            }
            """,
            [("MEGAPHONE_ECM__PROXY", "v2"), ("MEGAPHONE_HUB__IDLETIMEOUT", "")],
            "--Service:StopTimeout", "3s").Values;

        Assert.EndsWith(".tmp", Only("Ecm:MaxClients").Origin, StringComparison.Ordinal);
        Assert.Equal("5", Only("Ecm:MaxClients").Value);
        Assert.Equal(("v2", "MEGAPHONE_ECM__PROXY"), (Only("Ecm:Proxy").Value, Only("Ecm:Proxy").Origin));
        Assert.Equal(("3s", "--Service:StopTimeout"), (Only("Service:StopTimeout").Value, Only("Service:StopTimeout").Origin));
        Assert.Equal(ConfiguredValue.Default, Only("Ecm:CloseRate").Origin);
        Assert.Equal(ConfiguredValue.Default, Only("Hub:IdleTimeout").Origin);
        Assert.Equal("192.0.2.0/24", Only("Ecm:Limits:Deny:1").Value);
        Assert.Equal("(a secret)", Only("Hub:Secret").Value);
        Assert.DoesNotContain(values, value => value.Value.Contains("told", StringComparison.Ordinal));
        Assert.DoesNotContain(values, value => value.Key.Split(':').Any(part => part is "N" or "M" or "CATEGORY"));

        ConfiguredValue Only(string key) => Assert.Single(values, value => value.Key == key);
    }
}
