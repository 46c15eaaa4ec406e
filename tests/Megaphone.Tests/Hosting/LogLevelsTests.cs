using Megaphone.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace Megaphone.Tests.Hosting;

public class LogLevelsTests
{
    [Fact]
    public void A_level_that_changes_changes_for_loggers_that_there_are()
    {
        using LogLevels levels = new(new Dictionary<string, LogLevel> { ["Default"] = LogLevel.Information, ["Quiet"] = LogLevel.Error });
        using ServiceProvider services = new ServiceCollection()
            .AddLogging(logging => logging.AddProvider(new EnabledProvider()))
            .AddSingleton<IConfigureOptions<LoggerFilterOptions>>(levels)
            .AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(levels)
            .BuildServiceProvider();
        ILoggerFactory loggers = services.GetRequiredService<ILoggerFactory>();
        ILogger quiet = loggers.CreateLogger("Quiet.One"), other = loggers.CreateLogger("Other.One");
        Assert.Equal((LogLevel.Error, LogLevel.Information), (Least(quiet), Least(other)));

        levels.Set("Other", LogLevel.Debug);
        Assert.Equal((LogLevel.Error, LogLevel.Debug), (Least(quiet), Least(other)));
        levels.Set("Quiet.One", LogLevel.Trace);
        levels.Set("default", LogLevel.Critical);
        Assert.Equal((LogLevel.Trace, LogLevel.Debug), (Least(quiet), Least(other)));
        Assert.Equal(LogLevel.Critical, Least(loggers.CreateLogger("Third")));
        Assert.Equal(["Other", "Quiet.One", "default"], levels.Changed.Keys);
    }

    private static LogLevel Least(ILogger logger) => Enum.GetValues<LogLevel>().First(logger.IsEnabled);

    private sealed class EnabledProvider : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new EnabledLogger();

        public void Dispose()
        {
        }
    }

    private sealed class EnabledLogger : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
        }
    }
}
