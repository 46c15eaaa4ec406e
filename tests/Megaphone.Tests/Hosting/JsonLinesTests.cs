using System.Text.Json;
using Megaphone.Ecm;
using Megaphone.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Hosting;

public class JsonLinesTests
{
    [Fact]
    public void A_line_is_an_object_with_the_message_and_the_values_in_it()
    {
        JsonElement line = Write(log => new EcmLog(log).HandshakeFailed("[2001:db8::1]:5222", "\"quoted\"\nand broken"));

        Assert.Equal(TimeSpan.Zero, line.GetProperty("time").GetDateTimeOffset().Offset);
        Assert.Equal("debug", line.GetProperty("level").GetString());
        Assert.Equal("Megaphone.Ecm.EcmRole", line.GetProperty("category").GetString());
        Assert.Equal(203, line.GetProperty("event").GetInt32());
        Assert.Equal("The TLS handshake with [2001:db8::1]:5222 failed: \"quoted\"\nand broken", line.GetProperty("message").GetString());
        Assert.Equal("[2001:db8::1]:5222", line.GetProperty("data").GetProperty("client").GetString());
        Assert.Equal("\"quoted\"\nand broken", line.GetProperty("data").GetProperty("reason").GetString());
        Assert.False(line.TryGetProperty("error", out _));
    }

    [Fact]
    public void Numbers_stay_numbers_and_times_are_those_of_ISO_8601()
    {
        DateTime time = new(2026, 11, 30, 1, 2, 3, DateTimeKind.Utc);
        JsonElement certificates = Write(log => new EcmLog(log).CertificatesReloaded(2, time)).GetProperty("data");
        Assert.Equal(2, certificates.GetProperty("count").GetInt32());
        Assert.Equal(time, certificates.GetProperty("notAfter").GetDateTime());
        Assert.Equal(1.5, Write(log => new EcmLog(log).Drained(1.5, 7)).GetProperty("data").GetProperty("seconds").GetDouble());
    }

    [Fact]
    public void What_was_thrown_is_told_with_it()
    {
        InvalidOperationException broken = new("broken");
        JsonElement line = Write(log => log.Log(LogLevel.Error, new EventId(9), "no values", broken, (_, _) => "It broke"));
        Assert.Equal("It broke", line.GetProperty("message").GetString());
        Assert.StartsWith("System.InvalidOperationException: broken", line.GetProperty("error").GetString());
        Assert.False(line.TryGetProperty("data", out _));
    }

    private static JsonElement Write(Action<ILogger<EcmRole>> log)
    {
        using StringWriter text = new();
        log(new Formatted(text));
        string line = text.ToString();
        Assert.Equal(line.Length - 1, line.IndexOf('\n'));
        using JsonDocument json = JsonDocument.Parse(line);
        return json.RootElement.Clone();
    }

    /// <summary>Writes what is logged as the console would.</summary>
    private sealed class Formatted(TextWriter to) : ILogger<EcmRole>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? error, Func<TState, Exception?, string> formatter)
        {
            LogEntry<TState> entry = new(level, typeof(EcmRole).FullName!, id, state, error, formatter);
            new JsonLines().Write(entry, scopes: null, to);
        }
    }
}
