# One image for every process of the station; docker-compose.yml names their commands.
FROM python:3.13-slim

ENV DATA_DIR=/data \
    HOST=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --system --uid 10001 --home-dir /app station \
 && install --directory --owner=station /app /data /data/media /data/spool
WORKDIR /app

# The requirements change seldom: their layer is kept while the code changes.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

COPY --chown=station . .
USER station
# The key is for this step alone; the running system brings its own.
RUN SECRET_KEY=used-while-building python manage.py collectstatic --noinput

EXPOSE 8000
CMD ["gunicorn", "config.wsgi", "-c", "config/gunicorn.conf.py"]
