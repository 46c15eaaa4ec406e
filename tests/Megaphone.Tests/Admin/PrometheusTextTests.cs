using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using Megaphone.Admin;
using Megaphone.Metrics;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Admin;

public class PrometheusTextTests
{
    [Fact]
    public void All_metrics_are_exposed_from_the_start()
    {
        RoleMetrics ecm = new(Role.Ecm);
        RoleMetrics hub = new(Role.Hub);
        ecm.AddConnected();
        ecm.AddIn(packets: 3, bytes: 1L << 40);
        hub.AddOut(packets: 4, bytes: 5);
        hub.AddSessionClosed(CloseReason.ResetByPeer);
        hub.AddDropped(DropReason.SessionOver, 6);
        ecm.AddRefused(RefusalReason.NoLink);
        ecm.Servers = () => [new ServerStatus("node1.example.org:6280", 2, 7), new ServerStatus("[2001:db8::1]:6280", 0, 0)];
        hub.Servers = () => [new ServerStatus("127.0.0.1:5222", 1, 3)];

        Snapshot.Match(Write(ecm, hub));
    }

    [Fact]
    public void A_role_that_does_not_run_has_no_metrics()
    {
        string text = Write(new RoleMetrics(Role.Hub));

        Assert.DoesNotContain("ecm", text, StringComparison.Ordinal);
        Assert.Contains("megaphone_hub_sessions 0\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Scrapes_do_not_accumulate()
    {
        using MetricsPublisher publisher = new([new RoleMetrics(Role.Ecm)], new ReloadCounters());
        using PrometheusText text = new(publisher.Meter);

        Assert.Equal(WithoutTheMachine(text.Write()), WithoutTheMachine(text.Write()));
    }

    [Fact]
    public void Special_characters_in_labels_are_escaped()
    {
        using Meter meter = new("test");
        meter.CreateObservableGauge("g", () => new Measurement<long>(1, new KeyValuePair<string, object?>("l", "a\"b\\c\nd")), null, "help");
        using PrometheusText text = new(meter);

        Assert.Equal("# HELP g help\n# TYPE g gauge\ng{l=\"a\\\"b\\\\c\\nd\"} 1\n", text.Write());
    }

    private static string Write(params RoleMetrics[] roles)
    {
        using MetricsPublisher publisher = new(roles, new ReloadCounters());
        using PrometheusText text = new(publisher.Meter);
        return WithoutTheMachine(text.Write());
    }

    private static string WithoutTheMachine(string text) => Regex.Replace(
        text.Replace(ProductVersion.Current, "VERSION", StringComparison.Ordinal),
        @"^((process|megaphone_gc)\S*) .*$",
        "$1 NUMBER",
        RegexOptions.Multiline);
}
