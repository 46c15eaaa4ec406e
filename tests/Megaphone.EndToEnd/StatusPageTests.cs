namespace Megaphone.EndToEnd;

/// <summary>The status page of the admin endpoint, in Debian's Chromium.</summary>
public sealed class StatusPageTests : IDisposable
{
    /// <summary>The file for a picture of it: docs/pictures/status.png is renewed like that.</summary>
    private static readonly string? Picture = Environment.GetEnvironmentVariable("MEGAPHONE_STATUS_PICTURE");

    private readonly TestCertificates _certificates = new();

    [Fact]
    public async Task It_shows_what_runs_in_light_and_dark_also_on_a_phone_and_keeps_itself_up_to_date()
    {
        _certificates.Issue("chat.example.org", ["chat.example.org"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Tls=direct", .. _certificates.Settings("chat.example.org")]);
        using ChildProcess operates = ChildProcess.Start(
            ["node", Path.Combine(Repository.Root, "tests/clients/browsers/look.mjs"), $"http://{both.Admin}/"]);

        await DoAsync(operates, "tile Clients 0");
        await DoAsync(operates, $"see {both.ClientListeners[1]}");
        await DoAsync(operates, "see chat.example.org");
        using TestConnection first = await TestConnection.ConnectAsync(both.Clients);
        await first.AssertEchoesAsync();
        await DoAsync(operates, "tile Clients 1");
        await DoAsync(operates, "tile Logged in 1");
        using TestConnection second = await TestConnection.ConnectAsync(both.Clients);
        await DoAsync(operates, "tile Clients 2");
        await DoAsync(operates, "tile Not logged in 1");

        await DoAsync(operates, $"find {first.Local.Port}", "not there");
        await DoAsync(operates, "color light", "rgb(27, 35, 48) on rgb(246, 247, 249)");
        if (Picture is not null) await TakeAsync(operates, both);
        await DoAsync(operates, "color dark", "rgb(230, 234, 240) on rgb(17, 21, 27)");
        await DoAsync(operates, "width 360", "fits");
        await DoAsync(operates, "noticed", "nothing");

        await both.KillAsync();
        await DoAsync(operates, "see no answer");
        operates.CloseInput();
        Assert.Equal(0, await operates.EndAsync());
    }

    /// <inheritdoc/>
    public void Dispose() => _certificates.Dispose();

    /// <summary>With some clients, and what they say.</summary>
    private static async Task TakeAsync(ChildProcess operates, MegaphoneProcess both)
    {
        using ChildProcess bench = ChildProcess.Start(
            [Repository.Binary, "bench", "echo", "--to", $"{both.Clients}", "--connections", "1500", "--rate", "4000", "--seconds", "50"]);
        await Task.Delay(TimeSpan.FromSeconds(45));
        await DoAsync(operates, $"picture {Path.GetFullPath(Picture!, Repository.Root)}");
    }

    private static async Task DoAsync(ChildProcess operates, string what, string result = "done")
    {
        await operates.WriteLineAsync(what);
        Assert.Equal($"{what}: {result}", await operates.LineAsync($"{what}: "));
    }
}
