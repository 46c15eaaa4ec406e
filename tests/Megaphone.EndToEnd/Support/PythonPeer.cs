using System.Net;
using System.Text.Json;

namespace Megaphone.EndToEnd.Support;

/// <summary>One of the programs of <c>tests/peers</c>.</summary>
internal static class PythonPeer
{
    /// <summary>Starts it.</summary>
    public static ChildProcess Start(string script, params string[] arguments) =>
        ChildProcess.Start(["/usr/bin/python3", Path.Combine(Repository.Root, "tests/peers", script), .. arguments]);

    /// <summary>Waits until it listens: <c>listening ADDRESS</c>.</summary>
    public static async Task<IPEndPoint> ListeningAsync(this ChildProcess peer) =>
        IPEndPoint.Parse((await peer.LineAsync("listening ")).Split(' ')[1]);

    /// <summary>Waits for its end and reads the JSON object on its last line.</summary>
    public static async Task<JsonElement> ReportAsync(this ChildProcess peer)
    {
        int status = await peer.EndAsync();
        Assert.True(status == 0, $"The peer ended with {status}:\n{peer.Said}");
        return JsonDocument.Parse(peer.Output.Last()).RootElement;
    }
}
