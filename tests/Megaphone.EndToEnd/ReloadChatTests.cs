using System.Net;
using System.Runtime.Versioning;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Megaphone.EndToEnd;

/// <summary>Many reloads of an ECM under users of ejabberd who write to each other all the time.</summary>
[SupportedOSPlatform("linux")]
public sealed class ReloadChatTests : IDisposable
{
    private const int Reloads = 20, RefusedEvery = 4, OtherBinaryEvery = 7, CutEvery = 3;
    private const int UsersOfAKind = 100, MessagesPerSecond = 60, SecondsOfMessages = 26;
    private const int MessagesToTheSlow = 400;

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-reload-").FullName;
    private readonly TestCertificates _certificates = new();

    private string ConfigFile => Path.Combine(_folder, "megaphone.json");

    private string Binary => Path.Combine(_folder, "megaphone");

    public void Dispose()
    {
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Nothing_is_lost_doubled_or_out_of_order_through_twenty_reloads()
    {
        await using Ejabberd ejabberd = await Ejabberd.StartWithModuleAsync();
        using TcpProxy between = new(ejabberd.LinkListener);
        using MegaphoneProcess ecm = await StartAsync(between.Address);
        int descriptors = await ecm.IdleDescriptorsAsync();
        using XmppClient torn = await XmppClient.ConnectAsync(ecm.Clients), slow = await XmppClient.ConnectAsync(ecm.Clients, receiveBuffer: 4096);
        await torn.LogInAsync();
        await slow.LogInAsync();
        slow.StopReading();
        using ChildProcess plain = Chat(ecm.Clients), old = Chat(ecm.ClientListeners[1], "1.2"), current = Chat(ecm.ClientListeners[1], "1.3");
        await ecm.HasClientsAsync((3 * UsersOfAKind) + 2);
        for (int i = 0; i < MessagesToTheSlow; i++) await torn.SendMessageAsync(slow.Address, Numbered(i));
        await torn.SendAsync($"<message type='chat' to='{torn.Address}'><body>begun before");

        string good = await File.ReadAllTextAsync(ConfigFile);
        int refused = 0, cuts = 0;
        for (int round = 1; round <= Reloads; round++)
        {
            if (round % RefusedEvery == 0)
            {
                await File.WriteAllTextAsync(ConfigFile, "{ no JSON");
                await ecm.ReloadAsync(refused: ++refused, because: "is not JSON");
                await File.WriteAllTextAsync(ConfigFile, good);
            }

            if (round % OtherBinaryEvery == 0) Install();
            if (round % CutEvery == 0)
            {
                between.CutOne();
                cuts++;
            }

            await ecm.ReloadAsync(done: round);

            // Every other time the link may still be cut when the next reload comes.
            if (round % 2 == 0) await ecm.HasLinksAsync(1, "ecm");
        }

        await torn.SendAsync(" and ended behind them</body></message>");
        await torn.ExpectAsync("<body>begun before and ended behind them</body>");
        slow.ReadOn();
        for (int i = 0; i < MessagesToTheSlow; i++)
        {
            string heard = await slow.ExpectAsync("</body>");
            Assert.EndsWith($"<body>{Numbered(i)}</body>", heard, StringComparison.Ordinal);
        }

        foreach (ChildProcess chat in (ChildProcess[])[plain, old, current])
        {
            int status = await chat.EndAsync();
            Assert.True(status == 0, chat.State);
            JsonElement result = JsonDocument.Parse(string.Join('\n', chat.Output)).RootElement;
            Assert.Equal(UsersOfAKind, result.GetProperty("logged_in").GetInt32());
            Assert.Equal(MessagesPerSecond * SecondsOfMessages, result.GetProperty("messages_arrived").GetInt32());
            Assert.Empty(result.GetProperty("problems").EnumerateObject());
        }

        await slow.LogOutAsync();
        await torn.LogOutAsync();
        await ecm.HasClientsAsync(0);
        await ecm.DescriptorsAreBackToAsync(descriptors);
        await ecm.ReachesAsync((3 * UsersOfAKind) + 2, "megaphone_sessions_closed_total", "role=ecm");
        MetricsSnapshot metrics = await ecm.MetricsAsync();

        // Who leaves after the server's closing tag does not wait for the server's end, nor for TLS's: a reset, or an end that comes too late.
        long inOrder = metrics["megaphone_sessions_closed_total", "role=ecm", "reason=ended"];
        long hasty = metrics["megaphone_sessions_closed_total", "role=ecm", "reason=socket_error"];
        Assert.Equal((3 * UsersOfAKind) + 2, inOrder + hasty);
        long tooLate = metrics["megaphone_dropped_packets_total", "role=ecm", "reason=session_over"];
        Assert.InRange(tooLate, 0, 2 * UsersOfAKind);
        Assert.Equal(tooLate, metrics["megaphone_dropped_packets_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_protocol_errors_total", "role=ecm"]);
        Assert.InRange(metrics["megaphone_link_resumptions_total", "role=ecm"], Reloads / 2, Reloads + cuts);
        Assert.DoesNotContain(ejabberd.Complaints, line => line.Contains("[error]", StringComparison.Ordinal));
    }

    private static string Numbered(int number) => $"{number} {new string('x', 2000)}";

    /// <summary>Users who log in, write to one other each, and check what comes.</summary>
    private static ChildProcess Chat(IPEndPoint to, string? tls = null) => ChildProcess.Start(
        [Repository.Binary, "bench", "xmpp", "--to", $"{to}", "--sessions", $"{UsersOfAKind}", "--rate", "100",
            "--messages", $"{MessagesPerSecond * SecondsOfMessages}", "--message-rate", $"{MessagesPerSecond}", "--json", "-",
            .. tls is null ? Array.Empty<string>() : ["--tls", "direct", "--ca", "none", "--tls-version", tls]]);

    /// <summary>Installs another binary in the place of the one that runs.</summary>
    private void Install()
    {
        File.Copy(Repository.Binary, Binary + ".new");
        File.Move(Binary + ".new", Binary, overwrite: true);
    }

    private async Task<MegaphoneProcess> StartAsync(IPEndPoint link)
    {
        Install();
        _certificates.Issue("localhost", ["localhost"]);
        (string certificate, string key) = _certificates.Files("localhost");
        JsonObject ecm = new()
        {
            ["Clients"] = new JsonArray(
                new JsonObject { ["Listen"] = "127.0.0.1:0", ["Framing"] = "stanza" },
                new JsonObject { ["Listen"] = "127.0.0.1:0", ["Framing"] = "stanza", ["Tls"] = "direct" }),
            ["Link"] = new JsonObject { ["To"] = link.ToString() },
            ["Proxy"] = "v2",
            ["Tls"] = new JsonObject { ["Certificates"] = new JsonArray(new JsonObject { ["Certificate"] = certificate, ["Key"] = key }) },
        };
        await File.WriteAllTextAsync(ConfigFile, new JsonObject { ["Ecm"] = ecm }.ToJsonString());
        MegaphoneProcess process = await MegaphoneProcess.StartAsync([$"config={ConfigFile}"], binary: Binary);
        await process.HasLinksAsync(1, "ecm");
        return process;
    }
}
