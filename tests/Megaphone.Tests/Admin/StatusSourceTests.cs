using System.Text.Json;
using Megaphone.Admin;
using Megaphone.Metrics;
using Megaphone.Operator;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Admin;

public class StatusSourceTests
{
    private static readonly OperatorJson Indented = new(new JsonSerializerOptions(OperatorJson.Default.Options) { WriteIndented = true });

    [Fact]
    public void All_that_is_counted_of_a_role_is_told()
    {
        RoleMetrics ecm = new(Role.Ecm);
        ecm.AddConnected();
        ecm.AddConnected();
        ecm.AddLoggedIn();
        ecm.AddHandshaking(3);
        ecm.AddIn(packets: 5, bytes: 600);
        ecm.AddOut(packets: 7, bytes: 800);
        ecm.AddLimited(Limit.PerAddress);
        ecm.AddRefused(RefusalReason.NoLink);
        ecm.AddSessionClosed(CloseReason.Kicked);
        ecm.Listeners = () => [new ListenerStatus("[::]:5222", "stanza", "starttls", 2)];
        ecm.Servers = () => [new ServerStatus("node1.example.org:6280", 1, 2) { LoginsUnderWay = 3, LoginsWaiting = 4 }];
        ecm.LinkList = () =>
        [
            new LinkStatus("node1.example.org:6280", "ejabberd@node1", "up", 2, TimeSpan.FromSeconds(90), TimeSpan.FromMicroseconds(250), 96, 4096),
            new LinkStatus("node2.example.org:6280", null, "down", 0, null, null, 0, 0),
        ];
        ecm.Certificates = [("/etc/megaphone/example.org.pem", DateTimeOffset.UtcNow.AddDays(30).AddHours(1))];
        ecm.LinkCertificates = [("/etc/megaphone/ca.pem", DateTimeOffset.UtcNow.AddHours(-1))];
        ReloadCounters reloads = new();
        reloads.AddDone(TimeSpan.FromMilliseconds(12));

        StatusReport status = new StatusSource([ecm], reloads, () => ("ready", ["no link to node2.example.org:6280 is up"])).Read();
        Assert.Equal((ProductVersion.Current, Environment.ProcessId), (status.Version, status.Process));
        Assert.InRange(status.Now - status.Started, 0, 60_000);
        Assert.InRange(status.Resources.OpenFiles, 1, status.Resources.MaxOpenFiles);
        Assert.Null(status.Resources.MemoryBytesEach);
        Assert.InRange(Assert.Single(status.Reloads.Last).At, status.Started - 60_000, status.Now);
        StatusReport withoutTheMachine = status with
        {
            Version = "VERSION",
            Process = 1,
            Now = 1_000,
            Started = 0,
            Resources = new ResourceStatus(1, null, 1, 1, 1),
            Reloads = status.Reloads with { Last = [new PastReload(500, status.Reloads.Last[0].Result)] },
        };
        Snapshot.Match(JsonSerializer.Serialize(withoutTheMachine, Indented.StatusReport));
    }

    [Fact]
    public void What_one_client_takes_is_told_where_there_are_many()
    {
        RoleMetrics hub = new(Role.Hub);
        for (int i = 0; i < 10_000; i++) hub.AddConnected();
        ResourceStatus resources = new StatusSource([hub], new ReloadCounters(), () => ("ready", [])).Read().Resources;
        Assert.Equal(resources.MemoryBytes / 10_000, resources.MemoryBytesEach);
    }

    [Theory]
    [InlineData("stanza", null, null)]
    [InlineData("web", 3L, 4L)]
    public void Clients_of_listeners_for_the_web_are_told_by_kind_where_there_are_such(string framing, long? webSockets, long? relayed)
    {
        RoleMetrics ecm = new(Role.Ecm) { Listeners = () => [new ListenerStatus("[::]:5443", framing, "direct", 9)], WebClients = () => (3, 4) };
        RoleStatus role = Assert.Single(new StatusSource([ecm], new ReloadCounters(), () => ("ready", [])).Read().Roles);
        Assert.Equal((webSockets, relayed), (role.WebSockets, role.Relayed));
    }

    [Fact]
    public void The_last_reloads_are_told_and_no_more_than_those()
    {
        ReloadCounters reloads = new();
        for (int i = 0; i < 4; i++) reloads.Add(ReloadResult.Failed);
        for (int i = 0; i < 4; i++) reloads.Add(ReloadResult.Refused);
        ReloadStatus told = new StatusSource([], reloads, () => ("ready", [])).Read().Reloads;
        Assert.Equal((0, 4, 4), (told.Done, told.Refused, told.Failed));
        Assert.Equal(["failed", "refused", "refused", "refused", "refused"], told.Last.Select(one => one.Result));
    }
}
