using System.Collections.Concurrent;
using Megaphone.Links;
using Microsoft.Extensions.Logging;

namespace Megaphone.Tests.Links;

/// <summary>Records the log lines of links.</summary>
internal sealed class RecordingLog : ILogger<Link>
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();

    /// <summary>Lines at Information and above.</summary>
    public string[] Lines => [.. _lines.Where(line => line.Level >= LogLevel.Information).Select(line => line.Text)];

    /// <summary>Lines at Debug, with their time.</summary>
    public ConcurrentQueue<(long At, string Text)> DebugLines { get; } = new();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        string text = formatter(state, exception) + (exception is null ? "" : $" ({exception.GetType().Name}: {exception.Message})");
        _lines.Enqueue((logLevel, text));
        if (logLevel == LogLevel.Debug) DebugLines.Enqueue((Environment.TickCount64, text));
    }
}
