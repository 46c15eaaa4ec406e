using System.Diagnostics;

namespace Megaphone.EndToEnd.Support;

/// <summary>A client that sends a little, waits for its echo, and goes on so while a test attacks the same ECM.</summary>
internal sealed class HonestEcho : IDisposable
{
    /// <summary>How long an echo may take on a busy machine; on an idle one it is 50 ms.</summary>
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(1.5);

    private readonly TlsClient _client;
    private readonly MegaphoneProcess _process;
    private readonly long _residentBytes;
    private readonly CancellationTokenSource _end = new();
    private readonly Task<TimeSpan> _echoing;

    private HonestEcho(TlsClient client, MegaphoneProcess process)
    {
        (_client, _process, _residentBytes) = (client, process, process.Process.ResidentBytes);
        _echoing = EchoAsync();
    }

    /// <summary>Begins.</summary>
    public static async Task<HonestEcho> BeginAsync(MegaphoneProcess process)
    {
        TlsClient client = await TlsClient.ConnectAsync(process.Clients);
        await client.AssertEchoesAsync();
        return new HonestEcho(client, process);
    }

    /// <summary>Asserts that no echo took long, and that the process has not grown by more than so much.</summary>
    public async Task AssertUnharmedAsync(long mostBytes = 16 << 20)
    {
        await _end.CancelAsync();
        Assert.InRange(await _echoing, TimeSpan.Zero, MaxWait);
        Assert.InRange(_process.Process.ResidentBytes - _residentBytes, long.MinValue, mostBytes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        _client.Dispose();
        _end.Dispose();
    }

    private async Task<TimeSpan> EchoAsync()
    {
        TimeSpan longest = TimeSpan.Zero;
        while (!_end.IsCancellationRequested)
        {
            long began = Stopwatch.GetTimestamp();
            await _client.AssertEchoesAsync();
            if (Stopwatch.GetElapsedTime(began) is var wait && wait > longest) longest = wait;
            await Task.Delay(1);
        }

        return longest;
    }
}
